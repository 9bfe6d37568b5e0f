/** Turns the server's UTC times into the reader's own, in place. */
export function localTimes(root = document) {
  const format = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
  for (const time of root.querySelectorAll("time[data-epoch]")) {
    const date = new Date(Number(time.dataset.epoch) * 1000);
    time.dateTime = date.toISOString();
    time.textContent = format.format(date);
  }
}
