// Shows the newest state of the jobs until all of them are done.
"use strict";

const PAUSE = 500; // milliseconds
const list = document.querySelector("[data-live]");
let shown = "";

async function refresh() {
  try {
    const response = await fetch(list.dataset.live);
    const html = await response.text();
    if (response.ok && html !== shown) {
      list.innerHTML = shown = html;
    }
  } catch {
    // The app is restarting: ask again.
  }
  if (list.querySelector("[data-unfinished]")) {
    setTimeout(refresh, PAUSE);
  }
}

setTimeout(refresh, PAUSE);
