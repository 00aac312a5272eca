(() => {
  const kept = "datakit-open";

  function remember() {
    const open = [...document.querySelectorAll("details")].map((details) => details.open);
    try { sessionStorage.setItem(kept, JSON.stringify(open)); } catch { /* then they are as at first */ }
  }

  function restore() {  // before the browser scrolls to where it was, for which the page must be as long as it was
    let open = null;
    try {
      open = JSON.parse(sessionStorage.getItem(kept));
      sessionStorage.removeItem(kept);
    } catch { return; }
    document.querySelectorAll("details").forEach((details, at) => { details.open = open?.[at] ?? details.open; });
  }

  addEventListener("DOMContentLoaded", () => {
    const banner = document.getElementById("broken");
    const events = new EventSource(document.body.dataset.live);
    events.addEventListener("changed", () => {
      banner.textContent = "";
      remember();
      location.reload();
    });
    events.addEventListener("broken", (event) => { banner.textContent = `your code has an error: ${event.data}`; });
    restore();
  });
})();
