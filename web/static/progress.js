/** Follows one study's job, and loads the page again when it has ended. */
const POLL_MS = 600;

async function follow() {
  const shown = document.getElementById("progress");
  if (!shown || shown.dataset.final === "yes") return;
  try {
    const answer = await fetch(shown.dataset.url, { headers: { Accept: "text/html" } });
    if (answer.redirected || answer.status === 404) {
      location.reload(); // the session has ended, or the study was removed: the page that comes says so
      return;
    }
    if (answer.ok) {
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

setTimeout(follow, POLL_MS);
