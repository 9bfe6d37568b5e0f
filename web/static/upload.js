/** The upload: a tray of chosen files, in which a picture can be given its lateral, and each file's fate. */
import { refresh } from "./worklist.js";

const form = document.getElementById("upload");
const input = document.getElementById("files");
const tray = document.getElementById("tray");
const list = document.getElementById("tray-list");
const note = document.getElementById("tray-note");
const bar = document.getElementById("tray-progress");
const send = document.getElementById("tray-send");
const limitBytes = Number(form.dataset.limitMb) * 1e6;
const PICTURE = /\.(png|jpe?g|tiff?)$/i;

/** @type {{file: File, lateral: File | null, fate: {kind: string, text: string, url?: string} | null}[]} */
let items = [];

function megabytes(bytes) {
  return bytes < 1e6 ? `${Math.max(1, Math.round(bytes / 1e3))} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

function element(tag, className, text = "") {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}

function add(files) {
  items = items.filter((item) => !item.fate);
  for (const file of files) items.push({ file, lateral: null, fate: null });
  draw();
}

/** A place for a picture's lateral: drop a file on it, or choose one. */
function lateralSlot(item) {
  const slot = element("button", "lateral-slot", item.lateral ? `Lateral: ${item.lateral.name}` : "Add its lateral");
  slot.type = "button";
  slot.classList.toggle("filled", item.lateral !== null);
  const take = (file) => {
    items = items.filter((other) => other.file !== file || other === item);
    item.lateral = file;
    draw();
  };
  slot.addEventListener("click", () => {
    if (item.lateral) {
      take(null);
      return;
    }
    const chooser = document.createElement("input");
    chooser.type = "file";
    chooser.addEventListener("change", () => chooser.files[0] && take(chooser.files[0]));
    chooser.click();
  });
  slot.addEventListener("dragover", (event) => {
    event.preventDefault();
    slot.classList.add("over");
  });
  slot.addEventListener("dragleave", () => slot.classList.remove("over"));
  slot.addEventListener("drop", (event) => {
    event.preventDefault();
    event.stopPropagation();
    form.classList.remove("over");
    const moved = items[Number(event.dataTransfer.getData("application/x-tray-index") || -1)];
    if (event.dataTransfer.files.length) take(event.dataTransfer.files[0]);
    else if (moved && moved !== item) take(moved.file);
  });
  return slot;
}

function row(item, index) {
  const line = element("li", "tray-item");
  const name = element("span", "tray-name", item.file.name);
  name.append(element("span", "tray-size", megabytes(item.file.size)));
  line.append(name);
  line.append(PICTURE.test(item.file.name) && !item.fate ? lateralSlot(item) : element("span", "", ""));
  const remove = element("button", "tray-remove", "×");
  remove.type = "button";
  remove.setAttribute("aria-label", `Take ${item.file.name} out`);
  remove.addEventListener("click", () => {
    items.splice(items.indexOf(item), 1);
    draw();
  });
  line.append(remove);
  if (item.fate) {
    const fate = element("p", `fate-line ${item.fate.kind}`, item.fate.text);
    line.append(fate);
  }
  line.draggable = !item.fate;
  line.addEventListener("dragstart", (event) => event.dataTransfer.setData("application/x-tray-index", String(index)));
  return line;
}

function totalBytes() {
  return items.reduce((sum, item) => sum + item.file.size + (item.lateral?.size ?? 0), 0);
}

function draw() {
  tray.hidden = items.length === 0;
  list.replaceChildren(...items.map(row));
  const waiting = items.filter((item) => !item.fate);
  const pictures = waiting.filter((item) => PICTURE.test(item.file.name) && !item.lateral);
  const tooMuch = totalBytes() > limitBytes;
  send.disabled = waiting.length === 0 || tooMuch;
  send.hidden = waiting.length === 0;
  note.textContent = tooMuch
    ? `This is ${megabytes(totalBytes())}, and one upload may hold ${form.dataset.limitMb} MB; take some films out.`
    : pictures.length === 2
      ? "One patient's frontal and lateral? Drag the lateral onto the other picture's slot."
      : "";
}

function show(answer) {
  const fateOf = new Map();
  for (const study of answer.accepted ?? []) {
    const text = study.new ? `Taken as study ${study.id}` : `Already here as study ${study.id}`;
    for (const name of study.names) fateOf.set(name, { kind: "accepted", text, url: study.url });
  }
  for (const refused of answer.refused ?? []) {
    fateOf.set(refused.name, { kind: "refused", text: refused.sentence });
  }
  for (const item of items) {
    item.fate ??= fateOf.get(item.lateral?.name) ?? null;
    const own = fateOf.get(item.file.name);
    if (!item.fate || own?.kind === "refused") item.fate = own ?? item.fate;
  }
  // What went well shows in the list below; only what needs attention stays in the tray.
  items = items.filter((item) => item.fate?.kind !== "accepted" || /^Already/.test(item.fate.text));
  draw();
}

function fail(text) {
  note.textContent = text;
  send.disabled = false;
}

function post() {
  const body = new FormData();
  const waiting = items.filter((item) => !item.fate);
  waiting.forEach((item, index) => {
    body.append("files", item.file);
    if (item.lateral) body.append(`lateral-${index}`, item.lateral);
  });
  const request = new XMLHttpRequest();
  request.open("POST", form.action);
  request.setRequestHeader("Accept", "application/json");
  request.setRequestHeader("X-CSRF-Token", document.querySelector('meta[name="csrf-token"]').content);
  request.responseType = "json";
  request.upload.addEventListener("progress", (event) => {
    bar.hidden = false;
    bar.value = event.total ? event.loaded / event.total : 0;
  });
  request.addEventListener("loadend", () => {
    bar.hidden = true;
    const answer = request.response;
    if (answer?.accepted || answer?.refused) show(answer);
    else fail(answer?.detail ?? "The films did not arrive; check that the service still runs, and send them again.");
    refresh();
  });
  send.disabled = true;
  note.textContent = "Sending";
  request.send(body);
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  post();
});
document.getElementById("tray-clear").addEventListener("click", () => {
  items = [];
  draw();
});
input.addEventListener("change", () => {
  add(input.files);
  input.value = "";
});
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  if (event.dataTransfer.types.includes("Files")) form.classList.add("over");
});
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) form.classList.remove("over");
});
document.addEventListener("drop", (event) => {
  event.preventDefault();
  form.classList.remove("over");
  if (event.dataTransfer.files.length) add(event.dataTransfer.files);
});
