// Shows the newest state of the jobs until all of them are done, and moves the bars meanwhile.
"use strict";

const PAUSE = 500; // milliseconds
const list = document.querySelector("[data-live]");
const LAST = ["succeeded", "failed", "cancelled", "gone"];
const followed = new Map(); // address of a job's events -> the last event
let shown = "";

async function refresh() {
  try {
    const response = await fetch(list.dataset.live);
    const html = await response.text();
    if (response.ok && html !== shown) {
      list.innerHTML = shown = html;
      showBars();
    }
  } catch {
    // The app is restarting: ask again.
  }
  if (list.querySelector("[data-unfinished]")) {
    setTimeout(refresh, PAUSE);
  }
}

// The list is made anew with each change, so its bars are looked up whenever there is news.
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
