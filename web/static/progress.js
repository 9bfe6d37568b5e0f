/** Follows one study's job, and loads the page again when it has ended. */
import { localTimes } from "./times.js";

const POLL_MS = 600;

async function follow() {
  const shown = document.getElementById("progress");
  if (!shown || shown.dataset.final === "yes") return;
  try {
    const answer = await fetch(shown.dataset.url, { headers: { Accept: "text/html" } });
    if (answer.ok && !answer.redirected) {
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = page.getElementById("progress");
      if (fresh && fresh.dataset.final === "yes") {
        location.reload();
        return;
      }
      if (fresh) shown.replaceWith(fresh);
    }
  } catch {
    // The server is away for a moment; the next round finds it again.
  }
  setTimeout(follow, POLL_MS);
}

localTimes();
setTimeout(follow, POLL_MS);
