/** The upload: files, folders and archives in a tray, a picture's lateral, and what became of each file. */
import { filesOf } from "./folders.js";
import { refresh } from "./worklist.js";

const form = document.getElementById("upload");
const input = document.getElementById("files");
const tray = document.getElementById("tray");
const list = document.getElementById("tray-list");
const fates = document.getElementById("fates");
const note = document.getElementById("tray-note");
const bar = document.getElementById("tray-progress");
const send = document.getElementById("tray-send");
const limitBytes = Number(form.dataset.limitMb) * 1e6;
const PICTURE = /\.(png|jpe?g|tiff?)$/i;

/** @type {{file: File, lateral: File | null}[]} */
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
  fates.replaceChildren();
  for (const file of files) items.push({ file, lateral: null });
  draw();
  document.getElementById("tray").scrollIntoView({ block: "nearest" });
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
  line.append(PICTURE.test(item.file.name) ? lateralSlot(item) : element("span", "", ""));
  const remove = element("button", "tray-remove", "×");
  remove.type = "button";
  remove.setAttribute("aria-label", `Take ${item.file.name} out`);
  remove.addEventListener("click", () => {
    items.splice(items.indexOf(item), 1);
    draw();
  });
  line.append(remove);
  line.draggable = true;
  line.addEventListener("dragstart", (event) => event.dataTransfer.setData("application/x-tray-index", String(index)));
  return line;
}

function totalBytes() {
  return items.reduce((sum, item) => sum + item.file.size + (item.lateral?.size ?? 0), 0);
}

function draw() {
  tray.hidden = items.length === 0 && fates.childElementCount === 0;
  list.replaceChildren(...items.map(row));
  const pictures = items.filter((item) => PICTURE.test(item.file.name) && !item.lateral);
  const tooMuch = totalBytes() > limitBytes;
  send.disabled = items.length === 0 || tooMuch;
  send.hidden = items.length === 0;
  note.textContent = tooMuch
    ? `This is ${megabytes(totalBytes())}, and one upload may hold ${form.dataset.limitMb} MB; take some films out.`
    : pictures.length === 2
      ? "One patient's frontal and lateral? Drag the lateral onto the other picture's slot."
      : "";
}

function fateLine(kind, names, text, url) {
  const line = element("li", `fate ${kind}`);
  line.append(element("strong", "", names));
  const words = element(url ? "a" : "span", "", text);
  if (url) words.href = url;
  line.append(words);
  return line;
}

/** What was refused first: it needs attention. Names inside an archive are told as they are in it. */
function show(answer) {
  const refused = (answer.refused ?? []).map((item) => fateLine("refused", item.name, item.sentence));
  const accepted = (answer.accepted ?? []).map((item) =>
    fateLine("accepted", item.names.join(" + "), `${item.new ? "Taken as" : "Already here as"} study ${item.id}`, item.url),
  );
  items = [];
  fates.replaceChildren(...refused, ...accepted);
  draw();
  note.textContent = `${accepted.length} taken, ${refused.length} not taken.`;
}

function fail(text) {
  note.textContent = text;
  send.disabled = false;
}

function post() {
  const body = new FormData();
  items.forEach((item, index) => {
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
  fates.replaceChildren();
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
document.addEventListener("drop", async (event) => {
  event.preventDefault();
  form.classList.remove("over");
  const files = await filesOf(event.dataTransfer);
  if (files.length) add(files);
});
const folderButton = document.getElementById("choose-folder");
if ("webkitdirectory" in input) {
  folderButton.hidden = false;
  folderButton.addEventListener("click", () => {
    const chooser = document.createElement("input");
    chooser.type = "file";
    chooser.webkitdirectory = true;
    chooser.addEventListener("change", () => add([...chooser.files].filter((file) => !file.name.startsWith("."))));
    chooser.click();
  });
}
