/** Which key does what: the commands' own keys, changed by each reader for themselves and kept in this browser. */

const NAMES = {
  ArrowLeft: "←", ArrowRight: "→", ArrowUp: "↑", ArrowDown: "↓", Backspace: "⌫", Escape: "Esc", " ": "Space", Enter: "Enter", Delete: "Del", PageDown: "PgDn", PageUp: "PgUp",
};
/** Keys that move the focus or belong to the browser. */
const NOT_OURS = new Set(["Tab", "Shift", "Control", "Alt", "AltGraph", "Meta", "CapsLock", "Dead", "Unidentified", "F5", "F11", "F12"]);

export function keyInWords(key) {
  if (NAMES[key]) return NAMES[key];
  return /^[A-Z]$/.test(key) ? `Shift ${key}` : key;
}

export class KeyMap extends EventTarget {
  /** @param reader whose keys these are */
  constructor(commands, reader) {
    super();
    this.commands = commands;
    this.place = `radsuite.keys.${reader}`;
    this.changes = this.#kept();
  }

  keysOf(command) {
    const kept = this.changes[command.id];
    return kept?.length === command.keys.length ? kept : command.keys;
  }

  /** What a key does: {command, index}, or null. Letters do the same with Caps Lock unless Shift has its own meaning. */
  find(key) {
    return this.#exactly(key) ?? (key === "=" ? this.#exactly("+") : this.#exactly(key.toLowerCase()));
  }

  /** Whether a key may be chosen. */
  static mayBe(key) {
    return !NOT_OURS.has(key);
  }

  /**
   * Gives a command another key. The command that had it, if any, gets the old one in exchange.
   * @returns the command that had it, or null
   */
  set(command, index, key) {
    const before = this.#exactly(key);
    const old = this.keysOf(command)[index];
    if (before) this.#put(before.command, before.index, old);
    this.#put(command, index, key);
    this.#keep();
    return before && before.command !== command ? before.command : null;
  }

  restore() {
    this.changes = {};
    this.#keep();
  }

  #put(command, index, key) {
    this.changes[command.id] = this.keysOf(command).map((known, at) => (at === index ? key : known));
  }

  #exactly(key) {
    for (const command of this.commands) {
      const index = this.keysOf(command).indexOf(key);
      if (index >= 0) return { command, index };
    }
    return null;
  }

  #kept() {
    try {
      const kept = JSON.parse(localStorage.getItem(this.place) ?? "{}");
      const isKeys = (keys) => Array.isArray(keys) && keys.every((key) => typeof key === "string");
      return Object.fromEntries(Object.entries(kept ?? {}).filter(([, keys]) => isKeys(keys)));
    } catch {
      return {}; // storage may be switched off or hold something else; the usual keys work
    }
  }

  #keep() {
    try {
      localStorage.setItem(this.place, JSON.stringify(this.changes));
    } catch {
      // Without storage they hold until the page is closed.
    }
    this.dispatchEvent(new Event("change"));
  }
}

/** Listens on the page; keys typed into a field or with Ctrl, Alt or Meta are the browser's. */
export function listenToKeys(map) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || document.querySelector("dialog[open]")) return;
    if (isForTheElement(event)) return;
    const found = map.find(event.key);
    if (!found) return;
    event.preventDefault();
    found.command.run(found.index, event.shiftKey);
  });
}

/** Fields take what is typed, sliders the arrows, buttons and links Enter and Space. */
function isForTheElement({ target, key }) {
  const field = target.closest("input, select, textarea, [role='separator']");
  if (field) {
    const isSlider = field.matches("input[type='range'], [role='separator']");
    return isSlider ? key.startsWith("Arrow") : !(field.matches("input[type='checkbox'], input[type='radio']") && key !== " ");
  }
  return Boolean(target.closest("button, a, summary")) && (key === "Enter" || key === " ");
}
