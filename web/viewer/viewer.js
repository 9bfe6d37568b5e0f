/** The viewer: which layer is shown, how it is windowed and placed, and what lies over it. */
import { CanvasRenderer } from "./canvas-renderer.js";
import { layer } from "./layers.js";
import { Overlay, heatPicture, outlines } from "./overlay.js";
import * as placement from "./placement.js";
import { WebGLRenderer } from "./webgl-renderer.js";
import { FULL, autoWindow, dragged, inWords } from "./window-level.js";

/** Layers that are looked at with one window: the film and what is left of it without bone. */
const SHARED_WINDOW = { film: "film", bone_suppressed: "film" };

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
    this.overlay = new Overlay(root.querySelector("#overlay-canvas"));
    this.renderer = this.#renderer(renderer);
    this.view = "frontal" in data.views ? "frontal" : Object.keys(data.views)[0];
    this.layerName = "film";
    this.inverted = false;
    this.outlineShown = false;
    this.finding = null;
    this.opacity = 0.55;
    this.size = { width: 1, height: 1 };
    /** Windows by view and group, places by view: each view keeps its own. */
    this.windows = new Map();
    this.places = new Map();
    /** Views that still lie as fitted; they stay so when the stage changes its size. */
    this.fittedViews = new Set();
    this.outlinePaths = new Map();
    this.heatPictures = new Map();
    this.film = null;
    this.hover = null;
    new ResizeObserver(() => this.#resize()).observe(this.stage);
    root.querySelector("#film-canvas").addEventListener("webglcontextlost", () => this.#useCanvas());
  }

  get views() {
    return Object.keys(this.data.views);
  }

  get layers() {
    return this.data.views[this.view].layers;
  }

  get window() {
    return this.windows.get(this.#windowKey()) ?? FULL;
  }

  get place() {
    return this.places.get(this.view);
  }

  /** Show a layer of the current view; the one shown stays until the new one is here. */
  async show(name, view = this.view) {
    if (!this.data.views[view]?.layers[name]) return;
    this.root.dataset.state = "loading";
    const wanted = (this.wanted = `${view}/${name}`);
    try {
      const film = await layer(this.data.views[view].layers[name].url);
      if (this.wanted !== wanted) return;
      Object.assign(this, { view, layerName: name, film });
      if (!this.windows.has(this.#windowKey())) this.windows.set(this.#windowKey(), this.#firstWindow());
      if (!this.places.has(view) || this.fittedViews.has(view)) this.#fitNow();
      this.#say("");
      await this.#loadOverlays();
      this.root.dataset.state = "ready";
    } catch (error) {
      if (this.wanted !== wanted) return;
      this.#say(error.message);
      this.root.dataset.state = "failed";
    }
    this.#changed();
  }

  /** Show the heatmap of a finding, or none with null. */
  async showFinding(code) {
    this.finding = code;
    await this.#loadOverlays();
    this.#changed();
  }

  async toggleOutline() {
    this.outlineShown = !this.outlineShown;
    await this.#loadOverlays();
    this.#changed();
  }

  setOpacity(value) {
    this.opacity = value;
    this.#changed();
  }

  toggleInvert() {
    this.inverted = !this.inverted;
    this.#changed();
  }

  dragWindow(dx, dy) {
    this.windows.set(this.#windowKey(), dragged(this.window, dx, dy));
    this.#changed();
  }

  auto() {
    if (this.film) this.windows.set(this.#windowKey(), autoWindow(this.film));
    this.#changed();
  }

  fit() {
    if (!this.film) return;
    this.#fitNow();
    this.#changed();
  }

  one() {
    if (this.film) this.#put(placement.centred(this.size, this.film, 1));
  }

  pan(dx, dy) {
    if (this.film) this.#put(placement.moved(this.place, dx, dy));
  }

  zoom(factor, px = this.size.width / 2, py = this.size.height / 2) {
    if (this.film) this.#put(placement.zoomed(this.place, factor, px, py, this.size, this.film));
  }

  /** Everything as it was when the page opened, but for the view. */
  async reset() {
    this.windows.clear();
    this.places.delete(this.view);
    Object.assign(this, { inverted: false, outlineShown: false, finding: null });
    await this.show("film");
  }

  /** Remember the film's pixel under the pointer, given in device pixels; null when it left. */
  point(px, py) {
    this.hover = this.film && px !== null ? placement.pixelAt(this.place, px, py, this.film) : null;
    this.dispatchEvent(new Event("hover"));
  }

  /** What the corners of the stage say. */
  captions() {
    const { derived, label } = this.layers[this.layerName];
    const { projection } = this.data.views[this.view];
    const kind = this.view === "lateral" ? "Lateral" : `Frontal${projection && projection !== "FRONTAL" && projection !== "UNKNOWN" ? ` ${projection}` : ""}`;
    const value = this.hover && this.film.values[this.hover.row * this.film.columns + this.hover.column];
    return {
      derived,
      layer: `${kind}\n${label}${derived ? ", derived image" : ""}${this.inverted ? "\nInverted" : ""}`,
      window: `${inWords(this.window)}\nZoom ${Math.round((this.place.scale / devicePixelRatio) * 100)} %`,
      pixel: this.hover ? `${((value / 65535) * 100).toFixed(1)} %\nrow ${this.hover.row}  column ${this.hover.column}` : "",
    };
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

  #useCanvas() {
    this.renderer = this.#renderer("canvas");
    this.#resize();
  }

  #windowKey() {
    return `${this.view}/${SHARED_WINDOW[this.layerName] ?? this.layerName}`;
  }

  /** The film as it is stored; a derived image on its own scale by its own greys. */
  #firstWindow() {
    return this.layerName in SHARED_WINDOW ? FULL : autoWindow(this.film);
  }

  async #loadOverlays() {
    const mask = this.data.views[this.view].outline;
    if (this.outlineShown && mask && !this.outlinePaths.has(mask)) {
      this.outlinePaths.set(mask, outlines(await layer(mask)));
    }
    const heat = this.data.heatmaps[this.finding]?.[this.view];
    if (heat && !this.heatPictures.has(heat)) {
      this.heatPictures.clear(); // a large film's heatmap takes 16 MB as a picture
      this.heatPictures.set(heat, heatPicture(await layer(heat)));
    }
  }

  #fitNow() {
    this.places.set(this.view, placement.fitted(this.size, this.film));
    this.fittedViews.add(this.view);
  }

  #put(place) {
    this.fittedViews.delete(this.view);
    this.places.set(this.view, place);
    this.#changed();
  }

  #resize() {
    const before = this.size;
    const ratio = devicePixelRatio;
    this.size = {
      width: Math.max(1, Math.round(this.stage.clientWidth * ratio)),
      height: Math.max(1, Math.round(this.stage.clientHeight * ratio)),
    };
    for (const canvas of [this.renderer.canvas, this.overlay.canvas]) Object.assign(canvas, this.size);
    for (const [view, place] of this.places) this.places.set(view, placement.resized(place, before, this.size));
    if (this.film && this.fittedViews.has(this.view)) this.#fitNow();
    this.#draw();
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      this.#draw();
    });
  }

  #draw() {
    if (!this.film || !this.place) return;
    if (!this.renderer.canShow(this.film)) this.renderer = this.#renderer("canvas");
    if (this.renderer.canvas.width !== this.size.width) Object.assign(this.renderer.canvas, this.size);
    this.renderer.draw(this.film, this.place, this.window, this.inverted);
    const boxes = (this.data.regions[this.finding] ?? []).filter((region) => region.view === this.view);
    this.overlay.draw(this.place, {
      outlines: this.outlineShown ? this.outlinePaths.get(this.data.views[this.view].outline) : null,
      heat: this.heatPictures.get(this.data.heatmaps[this.finding]?.[this.view]),
      opacity: this.opacity,
      boxes: this.finding ? boxes.map((region) => region.box) : [],
    });
    this.root.dataset.renderer = this.renderer.name;
    this.root.dataset.drawn = String(Number(this.root.dataset.drawn ?? 0) + 1);
  }

  #say(text) {
    this.root.querySelector("#stage-message").textContent = text;
  }
}
