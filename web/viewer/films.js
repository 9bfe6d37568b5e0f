/** The layers of all views that are here, and what is made of masks and heatmaps for the overlay. */
import { heatContours, heatPicture } from "./heat.js";
import { firstLook, layer } from "./layers.js";
import { colourOf, outline } from "./outlines.js";

export class Films {
  constructor() {
    /** @type {Map<string, object>} by address; a first look until the film itself is here */
    this.here = new Map();
    this.firstLooks = new Set();
    this.outlinePaths = new Map();
    /** Heatmaps of large films are large pictures: those of one finding are kept. */
    this.heat = { code: null, byView: new Map() };
  }

  get(url) {
    return this.here.get(url) ?? null;
  }

  isFirstLook(url) {
    return this.firstLooks.has(url);
  }

  /** @param onReplaced called with a film that is not needed any more */
  async load(url, onReplaced) {
    const film = await layer(url);
    const before = this.here.get(url);
    this.here.set(url, film);
    this.firstLooks.delete(url);
    if (before && before !== film) onReplaced?.(before);
    return film;
  }

  /** A small copy, if that is worth it and the film is not here yet. */
  async loadFirstLook(url, facts) {
    if (this.here.has(url)) return;
    const small = await firstLook(url, facts);
    if (!small || this.here.has(url)) return;
    this.here.set(url, small);
    this.firstLooks.add(url);
  }

  /** @param wanted entries of a view's ``outlines``; @returns {{path: Path2D, colour: string}[]} */
  async outlines(wanted) {
    const lines = [];
    for (const { key, url, belongs } of wanted) {
      const name = `${url} ${key}`;
      if (!this.outlinePaths.has(name)) this.outlinePaths.set(name, outline(await layer(url), belongs));
      lines.push({ path: this.outlinePaths.get(name), colour: colourOf(key) });
    }
    return lines;
  }

  /** Picture and contours of a finding in each view: {frontal: {picture, rows, columns, contours}}. */
  async heatmaps(code, addresses) {
    if (this.heat.code === code) return this.heat.byView;
    const byView = new Map();
    for (const [view, url] of Object.entries(addresses ?? {})) {
      const map = await layer(url);
      const { rows, columns } = map;
      byView.set(view, { picture: heatPicture(map), rows, columns, contours: heatContours(map) });
    }
    this.heat = { code, byView };
    return byView;
  }
}
