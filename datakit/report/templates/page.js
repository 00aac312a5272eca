"use strict";
(() => {
  const root = document.documentElement;
  const themes = ["system", "light", "dark"];
  const kept = "datakit-theme";

  function remembered() {
    try { return localStorage.getItem(kept); } catch { return null; }  // a page from a file may have no storage
  }

  function setTheme(theme) {
    if (theme === "system") delete root.dataset.theme; else root.dataset.theme = theme;
    try { localStorage.setItem(kept, theme); } catch { /* then it holds for this view */ }
  }

  function prepareTheme(button) {
    const name = button.querySelector("span");
    name.textContent = root.dataset.theme ?? "system";
    button.hidden = false;
    button.addEventListener("click", () => {
      const next = themes[(themes.indexOf(name.textContent) + 1) % themes.length];
      setTheme(next);
      name.textContent = next;
    });
  }

  async function copy(text) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      const area = document.createElement("textarea");
      area.value = text;
      document.body.append(area);
      area.select();
      const done = document.execCommand("copy");
      area.remove();
      return done;
    }
  }

  function prepareCopy(button) {
    const status = button.nextElementSibling;
    button.hidden = false;
    button.addEventListener("click", async () => {
      const done = await copy(document.getElementById(button.dataset.copy).textContent);
      button.focus();
      status.textContent = done ? "copied" : "not copied: select the line instead";
      setTimeout(() => { status.textContent = ""; }, 4000);
    });
  }

  function prepareViewer(viewer, images) {
    const room = viewer.querySelector(".room"), about = viewer.querySelector(".about");
    let shown = 0, opener = null;

    function show(place) {
      shown = (place + images.length) % images.length;
      const picture = images[shown].cloneNode(true), name = document.createElement("b");
      const box = picture.viewBox?.baseVal ?? picture;
      picture.style.setProperty("--ratio", `${box.width || 1} / ${box.height || 1}`);
      name.textContent = `${shown + 1} of ${images.length}`;
      about.replaceChildren(name, ` · ${picture.alt ?? picture.getAttribute("aria-label")}`);
      room.replaceChildren(picture);
    }

    images.forEach((image, place) => {
      const button = document.createElement("button");
      button.type = "button";
      button.className = image.parentElement.className;
      button.title = "Enlarge";
      image.parentElement.replaceWith(button);
      button.append(image);
      button.addEventListener("click", () => {
        opener = button;
        show(place);
        viewer.showModal();
      });
    });
    viewer.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (button?.dataset.step) show(shown + Number(button.dataset.step));
      else if (button || event.target === viewer || event.target === room) viewer.close();
    });
    viewer.addEventListener("keydown", (event) => {
      if (event.key === "ArrowLeft" || event.key === "ArrowRight") {
        event.preventDefault();
        show(shown + (event.key === "ArrowLeft" ? -1 : 1));
      }
    });
    viewer.addEventListener("close", () => {
      room.replaceChildren();
      opener?.focus();
    });
  }

  function preparePlayers(players) {
    players.forEach((player) => player.addEventListener("play", () => {
      players.forEach((other) => { if (other !== player) other.pause(); });
    }));
  }

  const before = remembered();
  if (before === "light" || before === "dark") root.dataset.theme = before;
  addEventListener("DOMContentLoaded", () => {
    prepareTheme(document.getElementById("theme"));
    document.querySelectorAll("[data-copy]").forEach(prepareCopy);
    preparePlayers(document.querySelectorAll("audio"));
    prepareViewer(document.getElementById("viewer"), [...document.querySelectorAll(".frame > img, .frame > svg")]);
  });
})();
