/** The list of keys, in which each can be changed. */
import { KeyMap, keyInWords } from "./keys.js";

const MOUSE = [
  ["Drag", "Window: left and right its width, up and down its level; or the chosen tool"],
  ["Wheel", "Zoom at the pointer"],
  ["Right, middle or Shift drag", "Move the film"],
  ["Double click", "This view alone, or all"],
];

export class Help {
  constructor(dialog, map) {
    this.dialog = dialog;
    this.map = map;
    this.list = dialog.querySelector("#help-keys");
    this.note = dialog.querySelector("#help-note");
    this.waiting = null;
    dialog.querySelector("#keys-restore").addEventListener("click", () => {
      map.restore();
      this.note.textContent = "All keys are as they were at first.";
    });
    dialog.addEventListener("keydown", (event) => this.#take(event), true);
    dialog.addEventListener("close", () => this.#stopWaiting());
    map.addEventListener("change", () => this.#fill());
    this.#fill();
  }

  open() {
    this.note.textContent = "Choose a key to change it. Changes are yours alone and stay in this browser.";
    this.dialog.showModal();
  }

  #fill() {
    this.waiting = null;
    this.list.replaceChildren(this.#group("Mouse", MOUSE.map(([how, does]) => this.#row([document.createTextNode(how)], does))));
    for (const [name, commands] of this.#groups()) {
      const rows = commands.map((command) => this.#row(this.#keys(command), command.does));
      this.list.append(this.#group(name, rows));
    }
  }

  #groups() {
    const groups = new Map();
    for (const command of this.map.commands) groups.set(command.group, [...(groups.get(command.group) ?? []), command]);
    return groups;
  }

  #group(name, rows) {
    const section = document.createElement("section");
    const title = document.createElement("h3");
    title.textContent = name;
    const list = document.createElement("dl");
    list.append(...rows.flat());
    section.append(title, list);
    return section;
  }

  #row(keys, does) {
    const term = document.createElement("dt");
    term.append(...keys);
    const meaning = document.createElement("dd");
    meaning.textContent = does;
    return [term, meaning];
  }

  #keys(command) {
    return this.map.keysOf(command).map((key, index) => {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "key";
      Object.assign(button.dataset, { command: command.id, index: String(index) });
      button.textContent = keyInWords(key);
      button.setAttribute("aria-label", `${command.does}: ${keyInWords(key)}; choose to change`);
      button.addEventListener("click", () => this.#wait(button, command, index));
      return button;
    });
  }

  #wait(button, command, index) {
    this.#stopWaiting();
    this.waiting = { button, command, index };
    button.classList.add("waiting");
    button.textContent = "press a key";
    this.note.textContent = `Press the new key for “${command.does}”; Esc keeps the old one.`;
  }

  #stopWaiting() {
    if (this.waiting) this.#fill();
  }

  #take(event) {
    if (!this.waiting || !KeyMap.mayBe(event.key)) return;
    event.preventDefault();
    event.stopPropagation();
    const { command, index } = this.waiting;
    if (event.key === "Escape") {
      this.note.textContent = "Nothing was changed.";
      this.#stopWaiting();
      return;
    }
    const other = this.map.set(command, index, event.key);
    this.note.textContent =
      `“${command.does}” is ${keyInWords(event.key)} now.` + (other ? ` “${other.does}” had it and got the old key.` : "");
    this.list.querySelector(`[data-command="${command.id}"][data-index="${index}"]`)?.focus();
  }
}
