// Keeps a list up to date, as long as it says that there is more to come, and moves its bars.
"use strict";

const PAUSE = 500; // milliseconds
const live = document.querySelector("[data-live]");
const list = live.querySelector("[data-list]");
const LAST = ["succeeded", "failed", "cancelled", "gone"];
const followed = new Map(); // address of a job's events -> the last event

async function refresh() {
  try {
    const response = await fetch(live.dataset.live);
    if (response.ok) {
      const page = new DOMParser().parseFromString(await response.text(), "text/html");
      show(page.querySelector("[data-list]"));
    }
  } catch {
    // The app is restarting: ask again.
  }
  if (list.hasAttribute("data-unfinished")) {
    setTimeout(refresh, PAUSE);
  }
}

// What is as before is not touched: whoever is about to press a button keeps it.
function show(fresh) {
  const wanted = [...fresh.children];
  const ids = new Set(wanted.map((item) => item.id));
  for (const item of [...list.children]) {
    if (!ids.has(item.id)) item.remove();
  }
  wanted.forEach((item, place) => {
    const known = document.getElementById(item.id);
    if (!known) list.insertBefore(item, list.children[place] ?? null);
    else if (known.outerHTML !== item.outerHTML) known.replaceWith(item);
  });
  list.toggleAttribute("data-unfinished", fresh.hasAttribute("data-unfinished"));
  showBars();
}

// Items are made anew when they change, so their bars are looked up whenever there is news.
function showBars() {
  for (const bar of list.querySelectorAll("progress[data-events]")) {
    const address = bar.dataset.events;
    if (!followed.has(address)) {
      follow(address);
    }
    const job = followed.get(address);
    if (job && job.progress !== null) {
      bar.value = job.progress;
      bar.parentElement.querySelector("[data-message]").textContent = job.message ?? "";
    }
  }
}

function follow(address) {
  followed.set(address, null);
  const events = new EventSource(address);
  events.onmessage = (message) => {
    const job = JSON.parse(message.data);
    followed.set(address, job);
    showBars();
    if (LAST.includes(job.state)) {
      events.close();
    }
  };
}

showBars();
setTimeout(refresh, PAUSE);
