/** How one view is looked at, in every pane that shows it: place, turn, layer, windows, polarity. */
import { mirrored, turnedRight, UPRIGHT } from "./orientation.js";
import { fittedSight } from "./placement.js";
import { FULL } from "./window-level.js";

/** Layers that are looked at with one window: the film and what is left of it without bone. */
const SHARED_WINDOW = { film: "film", bone_suppressed: "film" };

export class Sight {
  /** @param facts {rows, columns, layers, ...} what the page says of the view */
  constructor(view, facts) {
    this.view = view;
    this.facts = facts;
    this.reset();
  }

  reset() {
    this.place = fittedSight(this.facts, UPRIGHT);
    this.layer = "film";
    this.inverted = false;
    /** @type {Map<string, {low: number, high: number}>} */
    this.windows = new Map();
  }

  has(layer) {
    return layer in this.facts.layers;
  }

  window(layer) {
    return this.windows.get(SHARED_WINDOW[layer] ?? layer) ?? FULL;
  }

  setWindow(layer, window) {
    this.windows.set(SHARED_WINDOW[layer] ?? layer, window);
  }

  /** Whether a layer has no window of its own yet: one on its own scale is then windowed by its own greys. */
  needsWindow(layer) {
    return !(layer in SHARED_WINDOW) && !this.windows.has(layer);
  }

  fit() {
    this.place = fittedSight(this.facts, this.place.turn);
  }

  one() {
    this.place = { ...this.place, mode: "one" };
  }

  turn() {
    this.place = { ...this.place, turn: turnedRight(this.place.turn) };
  }

  mirror() {
    this.place = { ...this.place, turn: mirrored(this.place.turn) };
  }
}
