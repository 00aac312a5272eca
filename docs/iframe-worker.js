/* Search in a site that was opened from the disk: browsers refuse workers there, so the script of the worker runs in a
   hidden frame. Where the site is served it does nothing. */
if (location.protocol === "file:") {
  const message = (data) => new MessageEvent("message", { data: structuredClone(data) });

  window.Worker = class {
    constructor(url) {
      this.ready = this.start(url);
    }

    async start(url) {
      this.frame = document.createElement("iframe");
      this.frame.hidden = true;
      document.body.append(this.frame);
      const inner = this.frame.contentWindow;
      inner.postMessage = (data) => setTimeout(() => this.onmessage?.(message(data)));
      const script = inner.document.createElement("script");
      script.src = url;
      await new Promise((loaded) => {
        script.onload = loaded;
        inner.document.head.append(script);
      });
      return inner;
    }

    postMessage(data) {
      this.ready.then((inner) => inner.dispatchEvent(message(data)));
    }

    terminate() {
      this.frame.remove();
    }
  };
}
