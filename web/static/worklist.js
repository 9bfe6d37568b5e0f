/** Keeps the worklist up to date by server-sent events, filters without loading the page, and reads keys. */
import { localTimes } from "./times.js";

const IDLE_MS = 5000;
const BUSY_MS = 800;
const CLOCK_MS = 20_000;
const TYPING_MS = 250;
const RETRY_MS = 30_000;
const rows = document.getElementById("rows");
const filters = document.getElementById("filters");
const keys = document.getElementById("keys");
let stream = null;
let timer = 0;
let typing = 0;
let isStreaming = false;
let isRefreshing = false;
let isStale = false;

function isBusy() {
  return rows.querySelector('tr[data-active="yes"]') !== null;
}

/** As the server says it: see the filter `waited`. */
function waited(seconds) {
  const minutes = Math.floor(seconds / 60);
  if (minutes < 1) return "under 1 min";
  if (minutes < 60) return `${minutes} min`;
  if (minutes < 48 * 60) return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")} min`;
  return `${Math.floor(minutes / 1440)} days`;
}

function tellTime() {
  for (const place of rows.querySelectorAll("[data-waiting]")) {
    place.textContent = waited(Date.now() / 1000 - Number(place.dataset.waiting));
  }
}

function tellCounts() {
  const facts = JSON.parse(document.getElementById("list-facts")?.dataset.facts ?? "{}");
  for (const place of document.querySelectorAll("[data-count]")) {
    place.textContent = facts.counts?.[place.dataset.count] ?? "";
  }
}

/** Replaces only what changed, so that focus and pictures stay where they are. */
function merge(fresh) {
  localTimes(fresh);
  const body = rows.querySelector("tbody");
  const freshBody = fresh.querySelector("tbody");
  const warned = (root) => root.querySelector("#worker-missing") !== null;
  const focused = rows.contains(document.activeElement) ? document.activeElement : null;
  const place = focused && { row: focused.closest("tr")?.id, key: focused.dataset.key };
  if (!body || !freshBody || warned(rows) !== warned(fresh)) {
    rows.replaceChildren(...fresh.childNodes);
  } else {
    const old = new Map([...body.rows].map((row) => [row.id, row]));
    for (const row of [...freshBody.rows]) {
      const known = old.get(row.id);
      if (known && known.dataset.version === row.dataset.version) row.replaceWith(known);
    }
    body.replaceWith(freshBody);
    document.getElementById("list-facts").replaceWith(fresh.querySelector("#list-facts"));
  }
  if (place?.row) focusIn(document.getElementById(place.row), place.key);
  tellCounts();
  tellTime();
}

function focusIn(row, key) {
  (row?.querySelector(key ? `[data-key="${key}"]` : ".study-link") ?? row?.querySelector(".study-link"))?.focus();
}

export async function refresh() {
  clearTimeout(timer);
  if (isRefreshing) {
    isStale = true;
    return;
  }
  isRefreshing = true;
  try {
    const answer = await fetch(rows.dataset.url, { headers: { Accept: "text/html" } });
    if (answer.redirected) location.reload();
    else if (answer.ok) merge(new DOMParser().parseFromString(await answer.text(), "text/html").body);
  } catch {
    // The server is away for a moment; the next round finds it again.
  }
  isRefreshing = false;
  if (isStale) {
    isStale = false;
    refresh();
  } else if (!isStreaming) {
    askLater();
  }
}

/** A list that nobody looks at asks nothing; it does once it is looked at again. */
function askLater() {
  clearTimeout(timer);
  if (!document.hidden) timer = setTimeout(refresh, isBusy() ? BUSY_MS : IDLE_MS);
}

/** Without a stream (few threads, too many readers, a proxy in between) the list asks now and then. */
function listen() {
  stream = new EventSource(rows.dataset.changes);
  stream.addEventListener("open", () => {
    isStreaming = true;
    clearTimeout(timer);
  });
  stream.addEventListener("changed", refresh);
  stream.addEventListener("error", () => {
    isStreaming = false;
    if (stream.readyState === EventSource.CLOSED) setTimeout(listen, RETRY_MS);
    askLater();
  });
}

function narrow() {
  const asked = new URLSearchParams(new FormData(filters));
  for (const [name, value] of [...asked]) if (value === "" || value === "any") asked.delete(name);
  if (filters.elements.show.value === "any") asked.set("show", "any");
  history.replaceState(null, "", `${filters.getAttribute("action")}?${asked}`);
  rows.dataset.url = `${rows.dataset.url.split("?")[0]}?${asked}`;
  for (const tab of document.querySelectorAll("#tabs a")) {
    const own = new URLSearchParams(asked);
    own.set("show", tab.dataset.progress);
    tab.href = `${filters.getAttribute("action")}?${own}`;
  }
  document.querySelector(".pager")?.remove();
  refresh();
}

async function submitQuietly(form) {
  const answer = await fetch(form.action, {
    method: "POST",
    body: new FormData(form),
    headers: { Accept: "application/json" },
  });
  if (!answer.ok) {
    form.submit(); // the page that comes says what is wrong
    return;
  }
  refresh();
}

function step(by) {
  const links = [...rows.querySelectorAll(".study-link")];
  const here = links.findIndex((link) => link.closest("tr").contains(document.activeElement));
  const next = here < 0 ? (by > 0 ? 0 : links.length - 1) : Math.min(links.length - 1, Math.max(0, here + by));
  links[next]?.focus();
  links[next]?.closest("tr").scrollIntoView({ block: "nearest" });
}

function press(key) {
  const row = rows.contains(document.activeElement) ? document.activeElement.closest("tr") : null;
  const target = row?.querySelector(`[data-key="${key}"]`) ?? (key === "r" ? row?.querySelector(".report-link") : null);
  target?.click();
}

const KEYS = {
  j: () => step(1),
  ArrowDown: () => step(1),
  k: () => step(-1),
  ArrowUp: () => step(-1),
  a: () => press("a"),
  d: () => press("d"),
  r: () => press("r"),
  "/": () => document.getElementById("search").focus(),
  u: () => document.getElementById("files").click(),
  "?": () => keys.showModal(),
};

document.addEventListener("keydown", (event) => {
  if (event.target.matches("input, select, textarea")) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  if (keys.open || event.ctrlKey || event.metaKey || event.altKey) return;
  const tab = document.querySelectorAll("#tabs a")[Number(event.key) - 1];
  const action = tab ? () => tab.click() : KEYS[event.key];
  if (!action) return;
  event.preventDefault();
  action();
});
document.getElementById("show-keys").addEventListener("click", () => keys.showModal());
filters.addEventListener("submit", (event) => {
  event.preventDefault();
  narrow();
});
filters.addEventListener("change", narrow);
document.getElementById("search").addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(narrow, TYPING_MS);
});
rows.addEventListener("submit", (event) => {
  event.preventDefault();
  submitQuietly(event.target);
});
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) refresh();
});
tellTime();
setInterval(tellTime, CLOCK_MS);
if (rows.dataset.changes) listen();
addEventListener("pagehide", () => stream?.close());
askLater();
