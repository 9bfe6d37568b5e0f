/** From the viewer's state to pixels: films on one canvas for all panes, what lies over them on another. */
import { CanvasRenderer } from "./canvas-renderer.js";
import { Overlay } from "./overlay.js";
import * as placement from "./placement.js";
import { WebGLRenderer } from "./webgl-renderer.js";

const LENS_RADIUS = 95;
const LENS_FACTOR = 2.5;

export class Drawing {
  /** @param kind "webgl", "canvas", or "best": WebGL where there is a graphics processor; both fall back by themselves */
  constructor(viewer, kind) {
    this.viewer = viewer;
    this.root = viewer.root;
    this.overlay = new Overlay(this.root.querySelector("#overlay-canvas"));
    this.renderer = this.#rendererOf(kind);
    this.overlayStale = true;
    this.renderer.canvas.addEventListener("webglcontextlost", () => this.#useCanvas());
    new ResizeObserver(() => this.resize()).observe(viewer.stage);
    this.#watchPixelRatio();
  }

  forget(film) {
    this.renderer.forget(film);
  }

  /** Draw with the next frame. */
  request(overlay) {
    this.overlayStale ||= overlay;
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      this.viewer.tell();
      this.#draw();
    });
  }

  resize() {
    const { stage } = this.viewer;
    const size = {
      width: Math.max(1, Math.round(stage.clientWidth * devicePixelRatio)),
      height: Math.max(1, Math.round(stage.clientHeight * devicePixelRatio)),
    };
    for (const canvas of [this.renderer.canvas, this.overlay.canvas]) Object.assign(canvas, size);
    this.viewer.layouts.measure();
    this.overlayStale = true;
    this.#draw();
  }

  #draw() {
    const { renderer, viewer } = this;
    const { panes } = viewer;
    const shown = panes.flatMap((pane) => this.#parts(pane).map((part) => part.film));
    if (!shown.length) return;
    if (!shown.every((film) => renderer.canShow(film))) {
      this.#useCanvas();
      return;
    }
    renderer.begin();
    for (const pane of panes) this.#drawPane(pane);
    if (this.overlayStale) {
      this.overlay.begin();
      for (const pane of panes) this.overlay.draw(viewer.placeIn(pane), pane.rect, this.#over(pane));
      this.overlayStale = false;
    }
    Object.assign(this.root.dataset, { renderer: renderer.name, drawn: String(Number(this.root.dataset.drawn ?? 0) + 1) });
    viewer.dispatchEvent(new Event("drawn"));
  }

  #drawPane(pane) {
    const place = this.viewer.placeIn(pane);
    const parts = this.#parts(pane);
    for (const { film, look, rect } of parts) this.renderer.paint(film, place, look, rect);
    const lens = this.#lens(pane);
    if (!lens) return;
    const { column, row } = this.viewer.pointer;
    const magnified = placement.magnified(place, LENS_FACTOR, column, row);
    for (const { film, look, rect } of parts) this.renderer.paint(film, magnified, look, rect, lens);
  }

  /** What is drawn in a pane, from the lowest up: {film, look, rect}. */
  #parts(pane) {
    const { viewer } = this;
    const sight = viewer.sights.get(pane.view);
    const parts = [{ name: pane.layerName(sight), alpha: 1, rect: pane.rect }];
    if (viewer.layouts.isCompared(pane)) parts.push(...viewer.layouts.comparison.parts(pane.rect));
    return parts
      .map(({ name, alpha, rect }) => ({
        film: viewer.film(pane.view, name),
        look: { window: sight.window(name), inverted: sight.inverted, alpha },
        rect,
      }))
      .filter(({ film }) => film);
  }

  /** The round magnifier in a pane: in every pane that shows the view under the pointer. */
  #lens(pane) {
    const { lensOn, pointer } = this.viewer;
    if (!lensOn || !pointer || pointer.view !== pane.view) return null;
    const { x, y } = placement.toScreen(this.viewer.placeIn(pane), pointer.column, pointer.row);
    if (!pane.holds(x, y)) return null;
    return { x, y, radius: Math.min(LENS_RADIUS * devicePixelRatio, pane.rect.width / 3, pane.rect.height / 3) };
  }

  #over(pane) {
    const { viewer } = this;
    const { finding, heatStyle } = viewer;
    const heat = finding ? viewer.overlays.heat.get(pane.view) : null;
    const regions = finding ? (viewer.data.regions[finding] ?? []).filter(({ view }) => view === pane.view) : [];
    return {
      heat: heatStyle === "colour" ? heat : null,
      opacity: viewer.opacity,
      contours: heatStyle === "contours" ? heat?.contours : null,
      outlines: viewer.overlays.outlines.get(pane.view),
      boxes: heatStyle === "colour" ? regions.map((region) => region.box) : [],
      measures: viewer.measures.of(pane.view),
      spacing: viewer.sights.get(pane.view).facts.spacing_mm,
      mark: viewer.stop && pane.view === "frontal" ? viewer.stop : null,
      lens: this.#lens(pane),
    };
  }

  #rendererOf(kind) {
    const canvas = this.root.querySelector("#film-canvas");
    if (kind !== "canvas") {
      try {
        return new WebGLRenderer(canvas, { evenSlow: kind === "webgl" });
      } catch {
        // A canvas that once gave another context cannot change its mind; a fresh one can.
      }
    }
    const fresh = canvas.cloneNode();
    canvas.replaceWith(fresh);
    return new CanvasRenderer(fresh);
  }

  /** A window that is moved to another monitor keeps its size in CSS pixels, but not in the screen's own. */
  #watchPixelRatio() {
    const moved = () => {
      this.resize();
      this.#watchPixelRatio();
    };
    matchMedia(`(resolution: ${devicePixelRatio}dppx)`).addEventListener("change", moved, { once: true });
  }

  #useCanvas() {
    this.renderer = this.#rendererOf("canvas");
    this.resize();
  }
}
