/** The panes of a layout: which view and layer each shows, where it lies on the stage, and what its corners say. */
import { turnInWords, sideLetters } from "./orientation.js";
import { inWords } from "./window-level.js";

const VIEW_WORDS = { frontal: "Frontal", lateral: "Lateral", prior: "Prior frontal", prior_lateral: "Prior lateral" };
const PLAIN_PROJECTIONS = new Set(["", "FRONTAL", "LATERAL", "UNKNOWN"]);

/** Hanging: frontal left, lateral right, the prior below. */
const HANGING = ["frontal", "lateral", "prior", "prior_lateral"];

/**
 * @param layout "all", "alone", "side", "prior" or "bones"
 * @param views names of the views there are
 * @param active the view that is worked on
 * @param other the layer that is compared with, for "side"
 * @returns {{view: string, layer: string | null}[]} null: the layer its sight chose
 */
export function panesOf(layout, views, active, other) {
  if (layout === "alone") return [{ view: active, layer: null }];
  if (layout === "side") return [{ view: active, layer: null }, { view: active, layer: other }];
  if (layout === "prior") return [{ view: "frontal", layer: null }, { view: "prior", layer: null }];
  if (layout === "bones") return [{ view: active, layer: "bone_subtracted" }, { view: active, layer: "film" }];
  return HANGING.filter((view) => views.includes(view)).map((view) => ({ view, layer: null }));
}

export function viewInWords(view, facts) {
  const projection = facts.projection ?? "";
  const parts = [VIEW_WORDS[view] ?? view, PLAIN_PROJECTIONS.has(projection) ? "" : projection, facts.date ?? ""];
  return parts.filter(Boolean).join(" ");
}

export class Pane {
  constructor(view, layer, host) {
    this.view = view;
    this.layer = layer;
    this.rect = { left: 0, top: 0, width: 1, height: 1 };
    this.element = host.appendChild(document.createElement("div"));
    this.element.className = "pane";
    this.element.dataset.view = view;
    this.huds = Object.fromEntries(
      ["top-left", "top-right", "bottom-left", "bottom-right", "side-left", "side-right"].map((corner) => {
        const hud = this.element.appendChild(document.createElement("p"));
        hud.className = `hud ${corner}`;
        return [corner, hud];
      }),
    );
  }

  /** Measures where it lies, in device pixels from the stage's corner. */
  measure(stageBox) {
    const box = this.element.getBoundingClientRect();
    const [left, top] = [Math.round((box.left - stageBox.left) * devicePixelRatio), Math.round((box.top - stageBox.top) * devicePixelRatio)];
    this.rect = {
      left,
      top,
      width: Math.max(1, Math.round((box.right - stageBox.left) * devicePixelRatio) - left),
      height: Math.max(1, Math.round((box.bottom - stageBox.top) * devicePixelRatio) - top),
    };
  }

  holds(x, y) {
    const { left, top, width, height } = this.rect;
    return x >= left && x < left + width && y >= top && y < top + height;
  }

  layerName(sight) {
    return this.layer ?? sight.layer;
  }

  /** @param said {compared, finding, scale, pixel, isActive, isFirstLook} what only the viewer knows */
  caption(sight, said) {
    const name = this.layerName(sight);
    const { label, derived } = sight.facts.layers[name];
    const lines = [viewInWords(this.view, sight.facts), said.compared ?? `${label}${derived ? ", derived image" : ""}`];
    if (sight.inverted) lines.push("Inverted");
    if (said.isFirstLook) lines.push("Loading full resolution");
    this.#say("top-left", lines.join("\n"));
    this.huds["top-left"].classList.toggle("derived", derived || Boolean(said.compared));
    const turned = turnInWords(sight.place.turn);
    this.#say("top-right", [turned, said.finding].filter(Boolean).join("\n"));
    this.huds["top-right"].classList.toggle("turned", Boolean(turned));
    this.#say("bottom-left", `${inWords(sight.window(name))}\nZoom ${Math.round((said.scale / devicePixelRatio) * 100)} %`);
    this.#say("bottom-right", said.pixel);
    const letters = this.view.endsWith("lateral") ? null : sideLetters(sight.place.turn);
    this.#say("side-left", letters?.left ?? "");
    this.#say("side-right", letters?.right ?? "");
    this.element.classList.toggle("active", said.isActive);
  }

  #say(corner, text) {
    if (this.huds[corner].textContent !== text) this.huds[corner].textContent = text;
  }
}
