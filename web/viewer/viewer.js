/** The viewer: what is shown in which pane, how it is windowed and placed, and what lies over it. */
import { CanvasRenderer } from "./canvas-renderer.js";
import { Comparison } from "./comparison.js";
import { Films } from "./films.js";
import { Measures } from "./measures.js";
import { Overlay } from "./overlay.js";
import { Pane, panesOf } from "./panes.js";
import * as placement from "./placement.js";
import { differenceWindow, presetWindow } from "./presets.js";
import { Sight } from "./sight.js";
import { WebGLRenderer } from "./webgl-renderer.js";
import { dragged } from "./window-level.js";

/** What a layer is compared with at first. */
const SECOND_LAYERS = ["bone_suppressed", "film", "bone_subtracted", "residual"];
const LENS_RADIUS = 95;
const LENS_FACTOR = 2.5;
const RIB_ZOOM = 2.2;

export class Viewer extends EventTarget {
  /**
   * @param root the viewer's element
   * @param data what the page says of views, layers, heatmaps and regions
   * @param renderer "webgl" or "canvas"; "webgl" falls back by itself
   */
  constructor(root, data, renderer = "webgl") {
    super();
    this.root = root;
    this.data = data;
    this.stage = root.querySelector("#stage");
    this.paneHost = root.querySelector("#panes");
    this.overlay = new Overlay(root.querySelector("#overlay-canvas"));
    this.renderer = this.#renderer(renderer);
    this.films = new Films();
    this.measures = new Measures();
    this.comparison = new Comparison();
    /** @type {Map<string, Sight>} */
    this.sights = new Map(Object.entries(data.views).map(([view, facts]) => [view, new Sight(view, facts)]));
    this.active = this.views[0];
    this.layout = "all";
    this.tool = "window";
    this.finding = null;
    this.heatStyle = "colour";
    this.opacity = 0.55;
    this.outlineKeys = new Set();
    this.lensOn = false;
    this.pointer = null;
    this.stop = null;
    this.overlays = { outlines: new Map(), heat: new Map() };
    this.panes = [];
    this.#hang();
    new ResizeObserver(() => this.#resize()).observe(this.stage);
    this.#watchContext();
  }

  // What there is

  get views() {
    return [...this.sights.keys()];
  }

  get sight() {
    return this.sights.get(this.active);
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

  // Views, layers, layouts

  /** Show a layer of the active view, or of the first that has it; the one shown stays until the new one is here. */
  async show(layer) {
    const view = this.sight.has(layer) ? this.active : this.views.find((name) => this.sights.get(name).has(layer));
    if (!view) return;
    if (await this.need(view, layer)) {
      this.active = view;
      this.sight.layer = layer;
      if (this.comparison.isOn && this.comparison.other === layer) this.comparison.other = this.#otherLayer();
      if (this.layout === "side") this.#hang();
    }
    this.changed();
  }

  /** Fetch a layer; false when it cannot be had, or when something else was asked for meanwhile. */
  async need(view, layer) {
    const sight = this.sights.get(view);
    const wanted = (this.wanted = Symbol(layer));
    const { url } = sight.facts.layers[layer];
    if (!this.films.get(url) || this.films.isFirstLook(url)) this.root.dataset.state = "loading";
    try {
      const film = await this.films.load(url, (old) => this.renderer.forget(old));
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
      return false;
    }
  }

  /** All films of the views given, the first first; says so where one cannot be had. */
  async openFilms(views) {
    try {
      for (const view of views) {
        await this.films.load(this.sights.get(view).facts.layers.film.url, (old) => this.renderer.forget(old));
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

  activate(view) {
    if (view === this.active || !this.sights.has(view)) return;
    this.leaveBones();
    this.active = view;
    if (this.layout === "side" || (this.layout === "prior" && !this.panes.some((pane) => pane.view === view))) this.#leaveToAll();
    else if (this.layout === "alone") this.#hang();
    this.changed();
  }

  nextView() {
    const { views } = this;
    this.activate(views[(views.indexOf(this.active) + 1) % views.length]);
  }

  setLayout(layout) {
    this.layout = layout;
    this.#hang();
    this.changed();
  }

  toggleAlone() {
    if (this.layout !== "all" && this.layout !== "alone") return;
    this.setLayout(this.layout === "alone" ? "all" : "alone");
  }

  /** The frontal film beside the earlier one, both large. */
  togglePrior() {
    if (this.layout === "prior") return this.setLayout("all");
    if (!this.sights.has("prior") || !this.sights.has("frontal")) {
      this.say("There is no earlier film of this patient here.", true);
      return;
    }
    this.leaveBones();
    this.comparison.end();
    this.active = "frontal";
    this.setLayout("prior");
  }

  /** Films of an earlier study, hung below. */
  addPrior({ date, views }) {
    for (const [view, facts] of Object.entries(views)) {
      const name = view === "frontal" ? "prior" : "prior_lateral";
      this.sights.set(name, new Sight(name, { ...facts, date, layers: { film: facts.layers.film }, outlines: [] }));
    }
    this.#hang();
    this.changed();
  }

  // Comparing

  /** "wipe", "blend", "flicker" or "side"; the same once more ends it. */
  async compare(mode) {
    const { comparison } = this;
    if (comparison.mode === mode) {
      if (mode === "flicker") comparison.flick();
      else this.endCompare();
      this.changed();
      return;
    }
    const view = this.views.find((name) => Object.keys(this.sights.get(name).facts.layers).length > 1);
    if (!view) {
      this.say("This reading has no second layer to compare with.", true);
      return;
    }
    this.leaveBones();
    this.active = view;
    const other = comparison.other && comparison.other !== this.layer ? comparison.other : this.#otherLayer();
    if (!(await this.need(view, other))) return this.changed();
    comparison.start(mode, other);
    this.setLayout(mode === "side" ? "side" : this.layout === "alone" ? "alone" : "all");
  }

  async compareWith(layer) {
    if (!(await this.need(this.active, layer))) return this.changed();
    this.comparison.other = layer;
    if (this.layout === "side") this.#hang();
    this.changed();
  }

  moveCompare(by) {
    this.comparison.move(by);
    this.changed();
  }

  endCompare() {
    this.comparison.end();
    if (this.layout === "side") this.#leaveToAll();
  }

  #otherLayer() {
    return SECOND_LAYERS.find((name) => name !== this.layer && this.sight.has(name));
  }

  // Looking along the ribs

  /** The bone image large beside the film, the lens in both. */
  async enterBones() {
    if (!this.sights.get("frontal")?.has("bone_subtracted")) {
      this.say("This reading has no bone image; look at the film alone.", true);
      return false;
    }
    this.comparison.end();
    this.active = "frontal";
    if (!(await this.need("frontal", "bone_subtracted"))) {
      this.changed();
      return false;
    }
    this.kept = { place: this.sight.place, lensOn: this.lensOn };
    this.lensOn = true;
    this.setLayout("bones");
    return true;
  }

  leaveBones() {
    if (this.layout !== "bones") return;
    this.stop = null;
    this.sight.place = { ...this.kept.place, turn: this.sight.place.turn };
    this.lensOn = this.kept.lensOn;
    this.#leaveToAll();
    this.changed();
  }

  goTo(stop) {
    this.stop = stop;
    this.sight.place = placement.aimedAt(this.sight.place, stop.column, stop.row, RIB_ZOOM);
    this.pointer = null;
    this.changed();
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
    this.comparison.end();
    Object.assign(this, { finding: null, stop: null, lensOn: false, tool: "window", heatStyle: "colour", opacity: 0.55 });
    this.outlineKeys.clear();
    this.active = this.views[0];
    this.setLayout("all");
  }

  // What lies over the film

  /** Show the heatmap of a finding, or none with null. */
  async showFinding(code) {
    this.finding = code;
    const asked = (this.askedHeat = Symbol(code));
    try {
      const heat = code ? await this.films.heatmaps(code, this.data.heatmaps[code]) : new Map();
      if (this.askedHeat !== asked) return;
      this.overlays.heat = heat;
    } catch (error) {
      this.say(error.message, true);
    }
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
    try {
      for (const [view, sight] of this.sights) {
        const wanted = sight.facts.outlines.filter(({ key }) => this.outlineKeys.has(key));
        this.overlays.outlines.set(view, await this.films.outlines(wanted));
      }
    } catch (error) {
      this.say(error.message, true);
    }
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
    if (this.lensOn) this.changed();
    else this.#caption();
  }

  // Drawing

  /** Something changed: captions now, pictures with the next frame. */
  changed({ overlay = true } = {}) {
    this.overlayStale ||= overlay;
    this.#caption();
    this.dispatchEvent(new Event("change"));
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      this.#draw();
    });
  }

  say(text, passing = false) {
    this.root.querySelector("#stage-message").textContent = passing ? "" : text;
    if (passing) this.dispatchEvent(new CustomEvent("notice", { detail: text }));
  }

  #leaveToAll() {
    this.comparison.end();
    this.layout = "all";
    this.#hang();
  }

  #hang() {
    const wanted = panesOf(this.layout, this.views, this.active, this.comparison.other);
    this.paneHost.replaceChildren();
    this.paneHost.dataset.layout = this.layout;
    this.paneHost.dataset.views = wanted.map(({ view }) => view).join(" ");
    this.panes = wanted.map(({ view, layer }) => new Pane(view, layer, this.paneHost));
    this.#measure();
    this.dispatchEvent(new Event("hung"));
  }

  #measure() {
    const box = this.stage.getBoundingClientRect();
    for (const pane of this.panes) pane.measure(box);
  }

  #resize() {
    const ratio = devicePixelRatio;
    const size = {
      width: Math.max(1, Math.round(this.stage.clientWidth * ratio)),
      height: Math.max(1, Math.round(this.stage.clientHeight * ratio)),
    };
    for (const canvas of [this.renderer.canvas, this.overlay.canvas]) Object.assign(canvas, size);
    this.#measure();
    this.overlayStale = true;
    this.#draw();
    this.#caption();
  }

  #draw() {
    const { renderer } = this;
    const shown = this.panes.flatMap((pane) => this.#parts(pane).map((part) => part.film));
    if (!shown.length) return;
    if (!shown.every((film) => renderer.canShow(film))) return this.#useCanvas();
    renderer.begin();
    for (const pane of this.panes) this.#drawPane(pane);
    if (this.overlayStale) {
      this.overlay.begin();
      for (const pane of this.panes) this.overlay.draw(this.placeIn(pane), pane.rect, this.#over(pane));
      this.overlayStale = false;
    }
    Object.assign(this.root.dataset, { renderer: renderer.name, drawn: String(Number(this.root.dataset.drawn ?? 0) + 1) });
    this.dispatchEvent(new Event("drawn"));
  }

  #drawPane(pane) {
    const place = this.placeIn(pane);
    const parts = this.#parts(pane);
    for (const { film, look, rect } of parts) this.renderer.paint(film, place, look, rect);
    const lens = this.#lens(pane);
    if (!lens) return;
    const { column, row } = this.pointer;
    const [a, b, c, d] = place.turn;
    const scale = place.scale * LENS_FACTOR;
    const magnified = {
      ...place, scale, left: lens.x - scale * (a * column + c * row), top: lens.y - scale * (b * column + d * row),
    };
    for (const { film, look, rect } of parts) this.renderer.paint(film, magnified, look, rect, lens);
  }

  /** What is drawn in a pane, from the lowest up: {film, look, rect}. */
  #parts(pane) {
    const sight = this.sights.get(pane.view);
    const first = pane.layerName(sight);
    const parts = [{ name: first, alpha: 1, rect: pane.rect }];
    if (this.#isCompared(pane)) parts.push(...this.comparison.parts(pane.rect));
    return parts
      .map(({ name, alpha, rect }) => ({
        film: this.film(pane.view, name),
        look: { window: sight.window(name), inverted: sight.inverted, alpha },
        rect,
      }))
      .filter(({ film }) => film);
  }

  #isCompared(pane) {
    return pane.view === this.active && this.comparison.isOverlaid && this.sights.get(pane.view).has(this.comparison.other);
  }

  /** The round magnifier in a pane: in every pane that shows the view under the pointer. */
  #lens(pane) {
    if (!this.lensOn || !this.pointer || this.pointer.view !== pane.view) return null;
    const { x, y } = placement.toScreen(this.placeIn(pane), this.pointer.column, this.pointer.row);
    if (!pane.holds(x, y)) return null;
    return { x, y, radius: Math.min(LENS_RADIUS * devicePixelRatio, pane.rect.width / 3, pane.rect.height / 3) };
  }

  #over(pane) {
    const { facts } = this.sights.get(pane.view);
    const heat = this.finding ? this.overlays.heat.get(pane.view) : null;
    const regions = this.finding ? (this.data.regions[this.finding] ?? []).filter(({ view }) => view === pane.view) : [];
    return {
      heat: this.heatStyle === "colour" ? heat : null,
      opacity: this.opacity,
      contours: this.heatStyle === "contours" ? heat?.contours : null,
      outlines: this.overlays.outlines.get(pane.view),
      boxes: this.heatStyle === "colour" ? regions.map((region) => region.box) : [],
      measures: this.measures.of(pane.view),
      spacing: facts.spacing_mm,
      mark: this.stop && pane.view === "frontal" ? this.stop : null,
      lens: this.#lens(pane),
    };
  }

  #caption() {
    for (const pane of this.panes) {
      const sight = this.sights.get(pane.view);
      const { url } = sight.facts.layers[pane.layerName(sight)];
      pane.caption(sight, {
        compared: this.#isCompared(pane) ? this.comparison.inWords(sight) : null,
        finding: this.#findingInWords(pane),
        scale: this.placeIn(pane).scale,
        pixel: this.#pixelInWords(pane),
        isActive: pane === this.pane && ["all", "prior"].includes(this.layout) && this.panes.length > 1,
        isFirstLook: this.films.isFirstLook(url),
      });
    }
  }

  #findingInWords(pane) {
    if (!this.finding || pane.view.startsWith("prior")) return "";
    const shown = this.data.heatmaps[this.finding]?.[pane.view];
    const name = this.data.names[this.finding];
    return `${name}\n${shown ? (this.heatStyle === "colour" ? "heatmap" : "contours") : "no heatmap in this view"}`;
  }

  #pixelInWords(pane) {
    const { pointer } = this;
    if (!pointer || pointer.view !== pane.view) return "";
    const sight = this.sights.get(pane.view);
    const layer = pane.layerName(sight);
    const film = this.film(pane.view, layer);
    const [row, column] = [Math.floor(pointer.row), Math.floor(pointer.column)];
    if (!film || this.films.isFirstLook(sight.facts.layers[layer].url)) return "";
    if (row < 0 || column < 0 || row >= film.rows || column >= film.columns) return "";
    const share = (film.values[row * film.columns + column] / 65535) * 100;
    return `${share.toFixed(1)} %\nrow ${row}  column ${column}`;
  }

  #renderer(kind) {
    const canvas = this.root.querySelector("#film-canvas");
    if (kind === "webgl") {
      try {
        return new WebGLRenderer(canvas);
      } catch {
        // A canvas that once gave another context cannot change its mind; a fresh one can.
      }
    }
    const fresh = canvas.cloneNode();
    canvas.replaceWith(fresh);
    return new CanvasRenderer(fresh);
  }

  #watchContext() {
    this.renderer.canvas.addEventListener("webglcontextlost", () => this.#useCanvas());
  }

  #useCanvas() {
    this.renderer = this.#renderer("canvas");
    this.#resize();
  }
}
