/** Asks for a picture when a slider rests, one at a time, and always for the latest wish. */

const PAUSE_MS = 180;
const form = document.getElementById("sliders");
const picture = document.getElementById("phantom");
const note = document.getElementById("phantom-note");
const usual = note.textContent;
let timer = 0;
let isAsking = false;
let isStale = false;
let shown = "";

function rounded(value) {
  return Number(value.toPrecision(2)).toString();
}

function tell() {
  const option = form.elements.finding.selectedOptions[0];
  const { quantity, unit, low, high } = option.dataset;
  const share = Number(form.elements.severity.value) / 20;
  const value = Number(low) + (Number(high) - Number(low)) * share;
  document.getElementById("severity-value").textContent = quantity ? `${quantity} ${rounded(value)} ${unit}`.trim() : "";
  form.elements.severity.disabled = !quantity;
  for (const control of [...form.elements.side, form.elements.outline]) control.disabled = !option.value;
  document.getElementById("patient-value").textContent = form.elements.patient.value;
  document.getElementById("kvp-value").textContent = `${form.elements.kvp.value} kVp`;
  const dose = Number(form.elements.dose.dataset.usual) * 2 ** Number(form.elements.dose.value);
  document.getElementById("dose-value").textContent = `${rounded(dose)} µGy`;
}

async function ask() {
  if (isAsking) {
    isStale = true;
    return;
  }
  isAsking = true;
  picture.dataset.state = "waiting";
  const query = new URLSearchParams(new FormData(form)).toString();
  history.replaceState(null, "", `${form.getAttribute("action")}?${query}`);
  try {
    const answer = await fetch(`${form.dataset.picture}?${query}`);
    if (answer.ok) {
      // The answer is kept by the browser: the picture's own request finds it there.
      await answer.blob();
      picture.src = `${form.dataset.picture}?${query}`;
      await picture.decode();
      shown = query;
      note.textContent = usual;
    } else if (answer.status === 429) {
      const seconds = Number(answer.headers.get("Retry-After")) || 5;
      note.textContent = `Too many pictures at once; the next one comes in ${seconds} s.`;
      timer = setTimeout(ask, seconds * 1000);
    } else {
      note.textContent = "The picture could not be computed now; move a slider to try again.";
    }
  } catch {
    note.textContent = "The server did not answer; move a slider to try again.";
  }
  picture.dataset.state = shown === query ? "shown" : "old";
  isAsking = false;
  if (isStale) {
    isStale = false;
    ask();
  }
}

function soon() {
  tell();
  clearTimeout(timer);
  timer = setTimeout(ask, PAUSE_MS);
}

form.addEventListener("input", soon);
form.addEventListener("reset", () => setTimeout(soon));
form.addEventListener("submit", (event) => {
  event.preventDefault();
  ask();
});
tell();
