/** Fracture review: opens the bone image beside the film and steps from place to place. */
import { layer } from "./layers.js";
import { suspectedStops, walkStops } from "./ribs.js";

const NAMED = new Set(["suggested", "uncertain"]);

export class RibReview {
  constructor(viewer) {
    this.viewer = viewer;
    this.stops = [];
    this.at = -1;
    this.isSuspected = false;
    this.label = document.getElementById("bones-label");
    viewer.addEventListener("hung", () => this.#say());
  }

  async toggle() {
    const { viewer } = this;
    if (viewer.layouts.name === "bones") return viewer.layouts.leaveBones();
    if (!(await viewer.layouts.enterBones())) return;
    await this.#findStops();
    this.at = -1;
    if (this.stops.length) this.step(1);
    else this.#say();
  }

  async step(by) {
    if (this.viewer.layouts.name !== "bones") return this.toggle();
    if (!this.stops.length) return;
    this.at = this.at < 0 ? 0 : (this.at + by + this.stops.length) % this.stops.length;
    this.viewer.layouts.goTo(this.stops[this.at]);
    this.#say();
  }

  async #findStops() {
    const { data, sights } = this.viewer;
    this.isSuspected = NAMED.has(data.states.fracture);
    this.stops = this.isSuspected ? suspectedStops(data.regions.fracture ?? []) : [];
    if (this.stops.length) return;
    this.isSuspected = false;
    const { lungs } = sights.get("frontal").facts;
    this.stops = lungs ? walkStops(await layer(lungs)) : [];
  }

  #say() {
    const { label, stops, at, viewer } = this;
    if (!stops.length) label.textContent = "No lung outline to walk along; move the film by hand.";
    else if (this.isSuspected && viewer.data.reasons.fracture) label.textContent = `Place ${at + 1} of ${stops.length} of the fracture heatmap: ${stops[at]?.label}. No probability: ${viewer.data.reasons.fracture}.`;
    else if (this.isSuspected) label.textContent = `Suspected place ${at + 1} of ${stops.length}: ${stops[at]?.label}. From the fracture heatmap.`;
    else label.textContent = `Rib walk ${at + 1} of ${stops.length}: ${stops[at]?.label}. Along the lungs; nothing is suspected here.`;
  }
}
