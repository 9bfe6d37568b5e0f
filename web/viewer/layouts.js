/** What hangs where: all views, one alone, two layers or the prior side by side, bone beside film. */
import { Comparison } from "./comparison.js";
import { Pane, panesOf } from "./panes.js";
import { aimedAt } from "./placement.js";
import { presetWindow } from "./presets.js";

/** What a layer is compared with at first. */
const SECOND_LAYERS = ["bone_suppressed", "film", "bone_subtracted", "residual"];
const RIB_ZOOM = 2.2;

export class Layouts {
  constructor(viewer) {
    this.viewer = viewer;
    this.host = viewer.root.querySelector("#panes");
    /** "all", "alone", "side", "prior" or "bones" */
    this.name = "all";
    this.panes = [];
    this.comparison = new Comparison();
    /** How the film was looked at before fracture review. */
    this.kept = null;
  }

  /** Make the panes of the layout as it is now. */
  hang() {
    const { viewer } = this;
    const wanted = panesOf(this.name, viewer.views, viewer.active, this.comparison.other);
    this.host.replaceChildren();
    this.host.dataset.layout = this.name;
    this.host.dataset.views = wanted.map(({ view }) => view).join(" ");
    this.panes = wanted.map(({ view, layer }) => new Pane(view, layer, this.host));
    this.measure();
    viewer.dispatchEvent(new Event("hung"));
    viewer.changed();
  }

  /** Where the panes lie on the stage. */
  measure() {
    const box = this.viewer.stage.getBoundingClientRect();
    for (const pane of this.panes) pane.measure(box);
  }

  set(name) {
    this.name = name;
    this.hang();
  }

  toAll() {
    this.comparison.end();
    this.set("all");
  }

  /** Work on another view: what cannot show it is left. */
  activate(view) {
    const { viewer } = this;
    if (view === viewer.active || !viewer.sights.has(view)) return;
    this.leaveBones();
    viewer.active = view;
    const isShown = this.panes.some((pane) => pane.view === view);
    if (this.name === "side" || (this.name === "prior" && !isShown)) this.toAll();
    else if (this.name === "alone") this.hang();
    viewer.changed();
  }

  nextView() {
    const { views, active } = this.viewer;
    this.activate(views[(views.indexOf(active) + 1) % views.length]);
  }

  toggleAlone() {
    if (this.name === "all") this.set("alone");
    else if (this.name === "alone") this.set("all");
  }

  /** The frontal film beside the earlier one, both large. */
  togglePrior() {
    const { viewer } = this;
    if (this.name === "prior") return this.set("all");
    if (!viewer.sights.has("prior") || !viewer.sights.has("frontal")) {
      viewer.say("There is no earlier film of this patient here.", true);
      return;
    }
    this.leaveBones();
    this.comparison.end();
    viewer.active = "frontal";
    this.set("prior");
  }

  // Comparing layers

  /** "wipe", "blend", "flicker" or "side"; the same once more ends it, or flickers. */
  async compare(mode) {
    const { comparison, viewer } = this;
    if (comparison.mode === mode) {
      if (mode === "flicker") comparison.flick();
      else this.endCompare();
      viewer.changed();
      return;
    }
    const view = viewer.views.find((name) => Object.keys(viewer.sights.get(name).facts.layers).length > 1);
    if (!view) {
      viewer.say("This reading has no second layer to compare with.", true);
      return;
    }
    this.leaveBones();
    viewer.active = view;
    const other = comparison.other && comparison.other !== viewer.layer ? comparison.other : this.#otherLayer();
    if (!(await viewer.need(view, other))) return;
    comparison.start(mode, view, other);
    this.set(mode === "side" ? "side" : this.name === "alone" ? "alone" : "all");
  }

  async compareWith(layer) {
    if (!(await this.viewer.need(this.comparison.view, layer))) return;
    this.comparison.other = layer;
    this.#refresh();
  }

  /** The active view shows another layer: it is not compared with itself. */
  layerChanged() {
    const { active, layer } = this.viewer;
    if (active === this.comparison.view && layer === this.comparison.other) this.comparison.other = this.#otherLayer();
    this.#refresh();
  }

  moveCompare(by) {
    this.comparison.move(by);
    this.viewer.changed();
  }

  endCompare() {
    this.comparison.end();
    if (this.name === "side") this.set("all");
  }

  /** Whether the second layer lies over the first in a pane. */
  isCompared(pane) {
    return this.comparison.isOverlaid && pane.view === this.comparison.view;
  }

  get comparedPane() {
    return this.panes.find((pane) => this.isCompared(pane)) ?? null;
  }

  // Looking along the ribs

  /** The bone image large beside the film in the window of the lungs, the lens in both; false where there is none. */
  async enterBones() {
    const { viewer } = this;
    if (!viewer.sights.get("frontal")?.has("bone_subtracted")) {
      viewer.say("This reading has no bone image; look at the film alone.", true);
      return false;
    }
    this.comparison.end();
    viewer.active = "frontal";
    if (!(await viewer.need("frontal", "film")) || !(await viewer.need("frontal", "bone_subtracted"))) return false;
    const { sight } = viewer;
    this.kept = { place: sight.place, lensOn: viewer.lensOn, window: sight.window("film") };
    viewer.lensOn = true;
    const window = await presetWindow("lungs", viewer.film("frontal", "film"), sight.facts.lungs);
    if (window) sight.setWindow("film", window);
    this.set("bones");
    return true;
  }

  leaveBones() {
    if (this.name !== "bones") return;
    const { sight } = this.viewer;
    sight.place = { ...this.kept.place, turn: sight.place.turn };
    sight.setWindow("film", this.kept.window);
    Object.assign(this.viewer, { stop: null, lensOn: this.kept.lensOn });
    this.toAll();
  }

  goTo(stop) {
    const { viewer } = this;
    const { sight } = viewer;
    sight.place = aimedAt(sight.place, stop.column, stop.row, RIB_ZOOM);
    Object.assign(viewer, { stop, pointer: null });
    viewer.changed();
  }

  #refresh() {
    if (this.name === "side") this.hang();
    this.viewer.changed();
  }

  #otherLayer() {
    const { layer, sight } = this.viewer;
    return SECOND_LAYERS.find((name) => name !== layer && sight.has(name));
  }
}
