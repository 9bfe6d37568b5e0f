/** Keeps the list of studies up to date: often while something is being read, seldom otherwise. */
import { localTimes } from "./times.js";

const BUSY_MS = 700;
const IDLE_MS = 5000;
const rows = document.getElementById("rows");
let timer = 0;

function isBusy() {
  return rows.querySelector('tr[data-active="yes"]') !== null;
}

/** Replaces only what changed, so that focus and pictures stay where they are. */
function merge(fresh) {
  localTimes(fresh);
  const body = rows.querySelector("tbody");
  const freshBody = fresh.querySelector("tbody");
  const warned = (root) => root.querySelector("#worker-missing") !== null;
  if (!body || !freshBody || warned(rows) !== warned(fresh)) {
    rows.replaceChildren(...fresh.childNodes);
    return;
  }
  const old = new Map([...body.rows].map((row) => [row.id, row]));
  for (const row of [...freshBody.rows]) {
    const known = old.get(row.id);
    if (known && known.dataset.version === row.dataset.version) row.replaceWith(known);
  }
  if (document.activeElement && body.contains(document.activeElement)) {
    const href = document.activeElement.getAttribute("href");
    body.replaceWith(freshBody);
    if (href) freshBody.querySelector(`a[href="${CSS.escape(href)}"]`)?.focus();
  } else {
    body.replaceWith(freshBody);
  }
}

export async function refresh() {
  clearTimeout(timer);
  try {
    const answer = await fetch(rows.dataset.url, { headers: { Accept: "text/html" } });
    if (answer.ok && !answer.redirected) {
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").body;
      merge(fresh);
      const total = rows.querySelector("table")?.dataset.total;
      if (total) document.getElementById("study-count").textContent = total;
    }
  } catch {
    // The server is away for a moment; the next round finds it again.
  }
  timer = setTimeout(refresh, isBusy() ? BUSY_MS : IDLE_MS);
}

localTimes();
timer = setTimeout(refresh, isBusy() ? BUSY_MS : IDLE_MS);
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) refresh();
});
