/** Turns the server's UTC times into the reader's own, in place; today's without the date. */
export function localTimes(root = document) {
  const format = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
  const hour = new Intl.DateTimeFormat(undefined, { timeStyle: "short" });
  const today = new Date().toDateString();
  for (const time of root.querySelectorAll("time[data-epoch]")) {
    const date = new Date(Number(time.dataset.epoch) * 1000);
    time.dateTime = date.toISOString();
    time.textContent = date.toDateString() === today ? `today, ${hour.format(date)}` : format.format(date);
    time.title = format.format(date);
  }
}
