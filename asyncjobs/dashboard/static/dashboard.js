// What pages do beyond plain links and forms. Every page can be read without any of it.
(() => {
  "use strict";

  const $ = (selector, root = document) => root.querySelector(selector);
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const isTyping = (target) => target.closest("input:not([type=checkbox]), textarea, select, [contenteditable]");

  // Moments, in the reader's zone.
  const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long" });
  const short = new Intl.DateTimeFormat(undefined, { dateStyle: "short", timeStyle: "medium" });
  function localise(root = document) {
    for (const element of all("time[datetime]", root)) {
      const moment = new Date(element.dateTime);
      if (Number.isNaN(moment.getTime())) continue;
      const told = exact.format(moment);
      if (element.title !== told) element.title = told;
      if ("exact" in element.dataset) {
        const text = short.format(moment);
        if (element.textContent !== text) element.textContent = text;
      }
    }
    const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
    for (const element of all("[data-zone]", root)) element.textContent = zone;
    for (const element of all("input[name=zone]", root)) element.value = zone;
  }

  // Dark and light. The server reads the cookie, so no page flashes in the other theme.
  function switchTheme() {
    const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
    const root = document.documentElement;
    const theme = (root.dataset.theme ?? system) === "dark" ? "light" : "dark";
    root.dataset.theme = theme;
    document.cookie = `asyncjobs_theme=${theme}; path=/; max-age=31536000; samesite=lax`;
    drawChart(true);
  }

  // The chart.
  let chart = null;
  let drawn = "";
  const SERIES = ["succeeded", "retried", "failed", "cancelled"];
  const HOUR = 3600;
  const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
  const day = new Intl.DateTimeFormat(undefined, { weekday: "short", day: "numeric" });
  const asDate = (seconds) => new Date(seconds * 1000);
  const tick = (seconds, step) => (step >= 12 * HOUR ? day : clock).format(asDate(seconds));
  const sizeOf = (place) => ({ width: Math.max(200, place.clientWidth), height: 190 });

  function stack(told) {
    // Each line is the sum of its own and those below it, so they are drawn from the top down.
    const sums = told.times.map(() => 0);
    const lines = SERIES.map((name) => told[name].map((value, index) => (sums[index] += value)));
    return [told.times, ...lines.reverse()];
  }
  function chartOptions(place, width) {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    const axis = {
      stroke: colour("--soft"), grid: { stroke: colour("--line"), width: 1 },
      ticks: { show: false }, font: "12px system-ui, sans-serif",
    };
    const whole = (_, ticks) => ticks.map((value) => (Number.isInteger(value) ? value.toLocaleString() : ""));
    const bars = uPlot.paths.bars({ size: [0.8, 24], align: 1 });
    const valueOf = (name) => (_, __, ___, index) => (index === null ? "" : JSON.parse(drawn)[name][index].toLocaleString());
    const series = [...SERIES].reverse().map((name) => ({
      label: name, paths: bars, fill: colour(`--series-${name}`), stroke: colour(`--series-${name}`),
      width: 0, points: { show: false }, value: valueOf(name),
    }));
    return {
      ...sizeOf(place),
      padding: [8, 8, 0, 0],
      cursor: { y: false, drag: { x: false, y: false } },
      scales: {
        x: { range: (_, least, most) => [least, most + width] },
        y: { range: (_, __, most) => [0, Math.max(1, most * 1.05)] },
      },
      axes: [
        { ...axis, values: (_, ticks) => ticks.map((at) => tick(at, (ticks[1] ?? at) - ticks[0])) },
        { ...axis, size: 54, values: whole },
      ],
      series: [{ label: "From", value: (_, at) => (at === null ? "" : short.format(asDate(at))) }, ...series],
    };
  }
  function drawChart(anew = false) {
    const place = $("#chart");
    if (!place || !window.uPlot) return;
    const isThere = chart !== null && place.contains(chart.root);
    if (!anew && isThere && drawn === place.dataset.chart) return;
    drawn = place.dataset.chart;
    const told = JSON.parse(drawn);
    if (isThere && !anew) { chart.setData(stack(told)); return; }
    chart?.destroy();
    place.replaceChildren();
    chart = new uPlot(chartOptions(place, told.width), stack(told), place);
  }
  let resizing = 0;
  addEventListener("resize", () => {
    clearTimeout(resizing);
    resizing = setTimeout(() => { const place = $("#chart"); if (chart && place) chart.setSize(sizeOf(place)); }, 100);
  });

  // What changes by itself: events of the server where a page has them, else the page again.
  const live = () => $("#live");
  function say(text, isOn) {
    const element = $("#live-state");
    if (!element) return;
    element.hidden = false;
    element.classList.toggle("on", isOn);
    if (element.textContent !== text) element.textContent = text;
  }
  function isBusy() {
    const active = document.activeElement;
    return Boolean(active && live()?.contains(active) && isTyping(active)) || $("dialog[open]") !== null;
  }
  async function put(html) {
    const target = live();
    if (!target || isBusy()) return;
    // What the reader has unfolded stays so.
    const before = all("details", target).map((one) => one.open);
    await htmx.swap({ text: html, target, sourceElement: target, swap: "innerMorph" });
    const after = all("details", target);
    if (after.length === before.length) after.forEach((one, place) => { one.open = before[place]; });
  }
  async function refresh() {
    const target = live();
    if (!target || document.hidden || isBusy()) return;
    try {
      const answer = await fetch(location.href, { headers: { "X-Asyncjobs": "refresh" }, cache: "no-store" });
      if (answer.status === 404) { clearInterval(timer); say("Gone", false); return; }
      if (!answer.ok) throw new Error(String(answer.status));
      const found = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("#live");
      if (!found) throw new Error("no part to put in");
      await put(found.innerHTML);
      say("Live", true);
    } catch {
      say("Offline", false);
    }
  }
  let timer = 0;
  function refreshEvery(seconds) {
    clearInterval(timer);
    timer = setInterval(refresh, seconds * 1000);
  }
  function listen(address) {
    let source = null;
    let failures = 0;
    const open = () => {
      source = new EventSource(address);
      source.onmessage = (message) => {
        failures = 0;
        clearInterval(timer);
        put(JSON.parse(message.data));
        say("Live", true);
      };
      source.onerror = () => {
        // A stream that ends is taken up again by the browser. If that fails, pages are asked
        // for instead, and a new stream now and then.
        failures += 1;
        const isOver = source.readyState === EventSource.CLOSED;
        if (isOver || failures > 1) refreshEvery(2);
        if (isOver) setTimeout(() => { if (!document.hidden) { source?.close(); open(); } }, 30000);
      };
    };
    const close = () => { source?.close(); source = null; clearInterval(timer); };
    document.addEventListener("visibilitychange", () => { if (document.hidden) close(); else if (!source) open(); });
    addEventListener("pagehide", close);
    if (!document.hidden) open();
  }
  function begin() {
    const target = live();
    if (!target) return;
    if (target.dataset.events) listen(target.dataset.events);
    else if (target.dataset.refresh) {
      refreshEvery(Number(target.dataset.refresh));
      document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh(); });
    }
  }

  // Keys.
  function rows() { return all("[data-row]"); }
  function step(by) {
    const found = rows();
    if (!found.length) return;
    const now = found.findIndex((row) => row.classList.contains("current") || row.contains(document.activeElement));
    const next = found[Math.min(found.length - 1, Math.max(0, now < 0 ? 0 : now + by))];
    found.forEach((row) => row.classList.toggle("current", row === next));
    const link = $("a", next);
    (link ?? next).focus();
    next.scrollIntoView({ block: "nearest" });
  }
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target) || $("dialog[open]")) return;
    if (event.key === "j" || event.key === "k") { step(event.key === "j" ? 1 : -1); event.preventDefault(); }
    else if (event.key === "x") { const box = $(".current input[type=checkbox]"); if (box) { box.click(); event.preventDefault(); } }
    else if (event.key === "?") { $("#help")?.showModal(); event.preventDefault(); }
    else if (event.key === "/") {
      event.preventDefault();
      const box = $("#search");
      if (box) { box.focus(); box.select(); }
      else { const link = $("[data-search-page]"); if (link) location.href = `${link.href}#search`; }
    }
  });

  // Choosing lines.
  const chosen = new Set();
  let isAll = false;
  function count() {
    const boxes = all("input[name=id]");
    const number = boxes.filter((box) => box.checked).length;
    for (const button of all(".bulk button")) button.disabled = !isAll && number === 0;
    const told = $("#chosen");
    const text = isAll ? "All that match" : number === 1 ? "1 job chosen" : `${number} jobs chosen`;
    if (told && told.textContent !== text) told.textContent = text;
    const whole = $("#choose-page");
    if (whole) { whole.checked = boxes.length > 0 && number === boxes.length; whole.indeterminate = number > 0 && number < boxes.length; }
  }
  document.addEventListener("change", (event) => {
    const box = event.target;
    if (box.id === "choose-page") for (const other of all("input[name=id]")) { other.checked = box.checked; remember(other); }
    remember(box);
    if (box.matches?.("input[type=checkbox]")) count();
  });
  function remember(box) {
    if (box.name === "all") isAll = box.checked;
    if (box.name !== "id") return;
    if (box.checked) chosen.add(box.value); else chosen.delete(box.value);
  }
  function chooseAgain() {
    for (const box of all("input[name=id]")) box.checked = chosen.has(box.value);
    for (const box of all("input[name=all]")) box.checked = isAll;
    count();
  }

  // Completion of what is searched for.
  const search = { words: null, at: -1 };
  async function suggest(box) {
    const list = $("#options");
    if (!list) return;
    search.words ??= fetch(box.dataset.words).then((answer) => (answer.ok ? answer.json() : {})).catch(() => ({}));
    const words = await search.words;
    const before = box.value.slice(0, box.selectionStart);
    const word = /(?:"[^"]*"?|\S)*$/.exec(before)[0];
    const [, name, value] = /^([\w.]+:)?(.*)$/s.exec(word);
    const known = name ? (words[name.slice(0, -1)] ?? []).map((text) => name + (/[\s"]/.test(text) ? JSON.stringify(text) : text)) : (words.filters ?? []);
    const wanted = value.replace(/"/g, "").toLowerCase();
    const fits = known.filter((text) => text.toLowerCase().includes(name ? wanted : word.toLowerCase()) && text !== word).slice(0, 20);
    search.at = -1;
    list.replaceChildren(...fits.map((text, index) => {
      const item = document.createElement("li");
      item.id = `option-${index}`;
      item.setAttribute("role", "option");
      item.setAttribute("aria-selected", "false");
      item.textContent = text;
      item.dataset.length = word.length;
      return item;
    }));
    list.hidden = fits.length === 0;
    box.setAttribute("aria-expanded", String(fits.length > 0));
    box.removeAttribute("aria-activedescendant");
  }
  function closeOptions(box) {
    const list = $("#options");
    if (list) list.hidden = true;
    box.setAttribute("aria-expanded", "false");
    box.removeAttribute("aria-activedescendant");
  }
  function take(box, item) {
    const end = box.selectionStart;
    const start = end - Number(item.dataset.length);
    const text = item.textContent + (item.textContent.endsWith(":") || item.textContent.endsWith(".") ? "" : " ");
    box.setRangeText(text, start, end, "end");
    suggest(box);
  }
  function setUpSearch() {
    const box = $("#search");
    if (!box) return;
    box.addEventListener("input", () => suggest(box));
    box.addEventListener("focus", () => suggest(box));
    box.addEventListener("blur", () => setTimeout(() => closeOptions(box), 150));
    box.addEventListener("keydown", (event) => {
      const items = all("#options li");
      const list = $("#options");
      if (event.key === "Escape") { if (list.hidden) box.blur(); else closeOptions(box); event.preventDefault(); return; }
      if (list.hidden || !items.length) return;
      if (event.key === "ArrowDown" || event.key === "ArrowUp") {
        search.at = (search.at + (event.key === "ArrowDown" ? 1 : -1) + items.length) % items.length;
        items.forEach((item, index) => item.setAttribute("aria-selected", String(index === search.at)));
        box.setAttribute("aria-activedescendant", items[search.at].id);
        items[search.at].scrollIntoView({ block: "nearest" });
        event.preventDefault();
      } else if ((event.key === "Enter" || event.key === "Tab") && search.at >= 0) { take(box, items[search.at]); event.preventDefault(); }
    });
    $("#options")?.addEventListener("mousedown", (event) => {
      const item = event.target.closest("li");
      if (item) { take(box, item); event.preventDefault(); }
    });
    if (location.hash === "#search") box.focus();
  }

  // Copying. Browsers have a clipboard for pages by https and of this machine only; elsewhere the
  // text is selected, which most let an older command copy.
  async function copy(source) {
    try {
      await navigator.clipboard.writeText(source.textContent);
      return true;
    } catch {
      getSelection().selectAllChildren(source);
      return document.execCommand("copy");
    }
  }
  let copied = 0;
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    button.dataset.label ??= button.textContent;
    button.textContent = (await copy($(button.dataset.copy))) ? "Copied" : "Selected, copy it by the keyboard";
    clearTimeout(copied);
    copied = setTimeout(() => { button.textContent = button.dataset.label; }, 1500);
  });

  const reveal = () => { for (const element of all("[data-scripted]")) element.hidden = false; };
  document.addEventListener("htmx:after:swap", () => {
    reveal();
    localise();
    drawChart();
    chooseAgain();
  });
  document.addEventListener("DOMContentLoaded", () => {
    for (const button of all("[data-theme-switch]")) { button.hidden = false; button.addEventListener("click", switchTheme); }
    for (const button of all("[data-help]")) { button.hidden = false; button.addEventListener("click", () => $("#help").showModal()); }
    reveal();
    localise();
    drawChart();
    setUpSearch();
    // What the browser has kept of an earlier look, or was chosen before this script came.
    for (const box of all("input[name=id], input[name=all]")) remember(box);
    count();
    begin();
    // What an action said is said once, not again by the back button or in a shared address.
    const address = new URL(location.href);
    if (address.searchParams.has("said")) {
      for (const name of ["said", "n"]) address.searchParams.delete(name);
      history.replaceState(history.state, "", address);
    }
  });
})();
