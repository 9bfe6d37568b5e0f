/** The viewer: what is shown in which pane, how it is windowed and placed, and what lies over it. */
import { Captions } from "./captions.js";
import { Drawing } from "./drawing.js";
import { Films } from "./films.js";
import { Layouts } from "./layouts.js";
import { Measures } from "./measures.js";
import * as placement from "./placement.js";
import { differenceWindow, presetWindow } from "./presets.js";
import { Sight } from "./sight.js";
import { dragged } from "./window-level.js";

export class Viewer extends EventTarget {
  /**
   * @param root the viewer's element
   * @param data what the page says of views, layers, heatmaps and regions
   * @param renderer "webgl", "canvas" or "best"
   */
  constructor(root, data, renderer = "best") {
    super();
    this.root = root;
    this.data = data;
    this.stage = root.querySelector("#stage");
    this.films = new Films();
    this.measures = new Measures();
    /** @type {Map<string, Sight>} */
    this.sights = new Map(Object.entries(data.views).map(([view, facts]) => [view, new Sight(view, facts)]));
    this.active = this.views[0];
    this.tool = "window";
    this.finding = null;
    this.heatStyle = "colour";
    this.opacity = 0.55;
    this.outlineKeys = new Set();
    this.lensOn = false;
    this.pointer = null;
    this.stop = null;
    this.overlays = { outlines: new Map(), heat: new Map() };
    this.captions = new Captions(this);
    this.layouts = new Layouts(this);
    this.drawing = new Drawing(this, renderer);
    this.layouts.hang();
  }

  // What there is

  get views() {
    return [...this.sights.keys()];
  }

  get sight() {
    return this.sights.get(this.active);
  }

  get panes() {
    return this.layouts.panes;
  }

  get layer() {
    return this.sight.layer;
  }

  /** The pane that keys act on. */
  get pane() {
    return this.panes.find((pane) => pane.view === this.active) ?? this.panes[0];
  }

  film(view, layer) {
    return this.films.get(this.sights.get(view)?.facts.layers[layer]?.url);
  }

  // Films and layers

  /** Show a layer of the active view, or of the first that has it; the one shown stays until the new one is here. */
  async show(layer) {
    this.layouts.leaveBones();
    const view = this.sight.has(layer) ? this.active : this.views.find((name) => this.sights.get(name).has(layer));
    if (!view) return;
    if (await this.need(view, layer)) {
      this.active = view;
      this.sight.layer = layer;
      this.layouts.layerChanged();
    }
  }

  /** Fetch a layer; false when it cannot be had, or when something else was asked for meanwhile. */
  async need(view, layer) {
    const sight = this.sights.get(view);
    const wanted = (this.wanted = Symbol(layer));
    const { url } = sight.facts.layers[layer];
    if (!this.films.get(url) || this.films.isFirstLook(url)) this.root.dataset.state = "loading";
    try {
      const film = await this.films.load(url, (old) => this.drawing.forget(old));
      if (sight.needsWindow(layer)) sight.setWindow(layer, differenceWindow(film));
      if (this.wanted !== wanted) return false;
      this.say("");
      this.root.dataset.state = "ready";
      return true;
    } catch (error) {
      if (this.wanted === wanted) {
        this.say(error.message);
        this.root.dataset.state = "failed";
      }
      this.changed();
      return false;
    }
  }

  /** All films of the views given, the first first; says so where one cannot be had. */
  async openFilms(views) {
    try {
      for (const view of views) {
        await this.films.load(this.sights.get(view).facts.layers.film.url, (old) => this.drawing.forget(old));
        this.changed();
      }
      this.say("");
      this.root.dataset.state = "ready";
    } catch (error) {
      this.say(error.message);
      this.root.dataset.state = "failed";
    }
  }

  /** A first look at a large film, so that something is seen while the film itself comes. */
  async glimpse(view) {
    const { facts } = this.sights.get(view);
    await this.films.loadFirstLook(facts.layers.film.url, facts);
    this.changed();
  }

  /** Films of an earlier study, hung below. */
  addPrior({ date, views }) {
    for (const [view, facts] of Object.entries(views)) {
      const name = view === "frontal" ? "prior" : "prior_lateral";
      this.sights.set(name, new Sight(name, { ...facts, date, layers: { film: facts.layers.film }, outlines: [] }));
    }
    this.layouts.hang();
  }

  // Window, place, turn

  dragWindow(dx, dy, pane = this.pane) {
    const sight = this.sights.get(pane.view);
    const layer = pane.layerName(sight);
    sight.setWindow(layer, dragged(sight.window(layer), dx, dy));
    this.changed({ overlay: false });
  }

  async preset(name) {
    const { pane, sight } = this;
    const layer = pane.layerName(sight);
    const film = this.film(pane.view, layer);
    if (!film || this.films.isFirstLook(sight.facts.layers[layer].url)) return;
    const window = await presetWindow(name, film, sight.facts.lungs);
    if (!window) {
      this.say("This window is read off the lungs, and there is no lung outline for this film.", true);
      return;
    }
    sight.setWindow(layer, window);
    this.changed();
  }

  toggleInvert() {
    this.sight.inverted = !this.sight.inverted;
    this.changed();
  }

  fit() {
    this.sight.fit();
    this.changed();
  }

  one() {
    this.sight.one();
    this.changed();
  }

  turn() {
    this.sight.turn();
    this.changed();
  }

  mirror() {
    this.sight.mirror();
    this.changed();
  }

  pan(dx, dy, pane = this.pane) {
    const sight = this.sights.get(pane.view);
    this.#setPlace(pane, placement.moved(this.#sightIn(pane, sight), pane.rect, sight.facts, dx, dy));
  }

  /** Zoom around a stage position, or around the middle of the active pane. */
  zoom(factor, at = null, pane = this.pane) {
    const sight = this.sights.get(pane.view);
    const { left, top, width, height } = pane.rect;
    const x = at?.x ?? left + width / 2;
    const y = at?.y ?? top + height / 2;
    this.#setPlace(pane, placement.zoomed(this.#sightIn(pane, sight), factor, pane.rect, sight.facts, x, y));
  }

  /** Windows, places and layers as they were when the page opened; measurements stay. */
  reset() {
    for (const sight of this.sights.values()) sight.reset();
    Object.assign(this, { finding: null, stop: null, lensOn: false, tool: "window", heatStyle: "colour", opacity: 0.55 });
    this.outlineKeys.clear();
    this.active = this.views[0];
    this.layouts.toAll();
  }

  // What lies over the film

  /** Show the heatmap of a finding, or none with null. */
  async showFinding(code) {
    this.finding = code;
    const asked = (this.askedHeat = Symbol(code));
    this.root.dataset.overlay = "loading";
    try {
      const heat = code ? await this.films.heatmaps(code, this.data.heatmaps[code]) : new Map();
      if (this.askedHeat !== asked) return;
      this.overlays.heat = heat;
    } catch (error) {
      this.say(error.message, true);
    }
    this.root.dataset.overlay = "ready";
    this.changed();
  }

  setHeatStyle(style) {
    this.heatStyle = style;
    this.changed();
  }

  setOpacity(value) {
    this.opacity = value;
    this.changed();
  }

  /** Outlines that some view offers: {key, label}, each once. */
  get outlinesOffered() {
    const all = [...this.sights.values()].flatMap((sight) => sight.facts.outlines);
    return all.filter((entry, at) => all.findIndex(({ key }) => key === entry.key) === at);
  }

  async setOutlines(keys, on) {
    for (const key of keys) {
      if (on) this.outlineKeys.add(key);
      else this.outlineKeys.delete(key);
    }
    this.root.dataset.overlay = "loading";
    try {
      for (const [view, sight] of this.sights) {
        const wanted = sight.facts.outlines.filter(({ key }) => this.outlineKeys.has(key));
        this.overlays.outlines.set(view, await this.films.outlines(wanted));
      }
    } catch (error) {
      this.say(error.message, true);
    }
    this.root.dataset.overlay = "ready";
    this.changed();
  }

  setTool(tool) {
    this.tool = tool;
    this.measures.drawn = null;
    this.changed();
  }

  toggleLens() {
    this.lensOn = !this.lensOn;
    this.changed();
  }

  // The pointer, in device pixels of the stage

  paneAt(x, y) {
    return this.panes.find((pane) => pane.holds(x, y)) ?? null;
  }

  placeIn(pane) {
    const sight = this.sights.get(pane.view);
    return placement.placeOf(this.#sightIn(pane, sight), pane.rect, sight.facts);
  }

  /** Panes of one view have one scale once it is not fitted: zoom counts from the first pane's fitted size. */
  #sightIn(pane, sight) {
    const first = this.panes.find(({ view }) => view === pane.view);
    if (pane === first || sight.place.mode !== "free") return sight.place;
    const [wanted, own] = [first, pane].map(({ rect }) => placement.fitScale(rect, sight.facts, sight.place.turn));
    return { ...sight.place, zoom: (sight.place.zoom * wanted) / own };
  }

  /** A place that a pane asked for, as all panes of the view have it. */
  #setPlace(pane, place) {
    const sight = this.sights.get(pane.view);
    const first = this.panes.find(({ view }) => view === pane.view);
    const [own, wanted] = [pane, first].map(({ rect }) => placement.fitScale(rect, sight.facts, place.turn));
    sight.place = place.mode === "free" ? { ...place, zoom: (place.zoom * own) / wanted } : place;
    this.changed();
  }

  filmPoint(pane, x, y) {
    return placement.toFilm(this.placeIn(pane), x, y);
  }

  /** Remember where the pointer is; null when it left. */
  point(pane, x, y) {
    this.pointer = pane && { view: pane.view, ...this.filmPoint(pane, x, y) };
    this.captions.show();
    if (this.lensOn) this.drawing.request(true);
  }

  // Telling

  /** Something changed: captions, buttons and pictures follow with the next frame, once, however often it changes. */
  changed({ overlay = true } = {}) {
    this.isStale = true;
    this.drawing.request(overlay);
  }

  /** Tell captions and buttons, if anything changed since they were told. */
  tell() {
    if (!this.isStale) return;
    this.isStale = false;
    this.captions.show();
    this.dispatchEvent(new Event("change"));
  }

  say(text, passing = false) {
    this.root.querySelector("#stage-message").textContent = passing ? "" : text;
    if (passing) this.dispatchEvent(new CustomEvent("notice", { detail: text }));
  }
}
