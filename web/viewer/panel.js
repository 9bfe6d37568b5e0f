/** Buttons, captions and the findings list: what the page shows of the viewer's state, and how it is changed. */
import { rampColour } from "./overlay.js";

const LAYER_ORDER = ["film", "bone_suppressed", "bone_subtracted", "residual"];

export class Panel {
  constructor(viewer) {
    this.viewer = viewer;
    this.find = (id) => document.getElementById(id);
    this.findings = [...document.querySelectorAll("#findings .finding:enabled")];
    this.lastFinding = this.findings[0]?.dataset.code ?? null;
    this.#buildButtons();
    this.#buildRamp();
    this.#listen();
    viewer.addEventListener("change", () => this.#draw());
    viewer.addEventListener("hover", () => this.#caption());
  }

  nextView() {
    const { viewer } = this;
    const next = viewer.views[(viewer.views.indexOf(viewer.view) + 1) % viewer.views.length];
    if (next !== viewer.view) viewer.show("film", next);
  }

  toggleHeatmap() {
    this.viewer.showFinding(this.viewer.finding ? null : this.lastFinding);
  }

  stepFinding(by) {
    if (!this.findings.length) return;
    const at = this.findings.findIndex((button) => button.dataset.code === this.viewer.finding);
    const next = at < 0 ? (by > 0 ? 0 : this.findings.length - 1) : (at + by + this.findings.length) % this.findings.length;
    this.#choose(this.findings[next]);
    this.findings[next].scrollIntoView({ block: "nearest" });
  }

  stepOpacity(by) {
    const slider = this.find("opacity");
    slider.value = String(Number(slider.value) + by);
    this.viewer.setOpacity(Number(slider.value) / 100);
  }

  reset() {
    this.find("opacity").value = "55";
    this.viewer.opacity = 0.55;
    this.viewer.reset();
  }

  help() {
    this.find("help").showModal();
  }

  #choose(button) {
    const { code } = button.dataset;
    this.lastFinding = code;
    this.viewer.showFinding(this.viewer.finding === code ? null : code);
  }

  #buildButtons() {
    const { viewer } = this;
    const add = (place, label, key, run, mark) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(label);
      const hint = document.createElement("kbd");
      hint.textContent = key;
      if (key) button.append(hint);
      Object.assign(button.dataset, mark);
      button.addEventListener("click", run);
      this.find(place).append(button);
    };
    if (viewer.views.length > 1) {
      for (const view of viewer.views) {
        add("view-buttons", view === "lateral" ? "Lateral" : "Frontal", "", () => viewer.show("film", view), { view });
      }
    }
    const offered = new Set(Object.values(viewer.data.views).flatMap((view) => Object.keys(view.layers)));
    if (offered.size > 1) {
      const labels = Object.assign({}, ...Object.values(viewer.data.views).map((view) => view.layers));
      LAYER_ORDER.forEach((name, index) => {
        if (!offered.has(name)) return;
        add("layer-buttons", labels[name].label, String(index + 1), () => viewer.show(name), { layer: name });
      });
    }
  }

  #buildRamp() {
    const ramp = this.find("ramp");
    for (let step = 0; step < 24; step += 1) {
      const bar = document.createElementNS("http://www.w3.org/2000/svg", "rect");
      const sides = { x: step * 4, y: 0, width: 4.2, height: 8, fill: `rgb(${rampColour(step / 23).join(",")})` };
      for (const [name, value] of Object.entries(sides)) bar.setAttribute(name, String(value));
      ramp.append(bar);
    }
  }

  #listen() {
    const { viewer } = this;
    const actions = {
      outline: () => viewer.toggleOutline(),
      invert: () => viewer.toggleInvert(),
      auto: () => viewer.auto(),
      fit: () => viewer.fit(),
      one: () => viewer.one(),
      reset: () => this.reset(),
      help: () => this.help(),
      "heatmap-off": () => viewer.showFinding(null),
    };
    for (const button of document.querySelectorAll("[data-action]")) {
      button.addEventListener("click", actions[button.dataset.action]);
    }
    for (const button of this.findings) button.addEventListener("click", () => this.#choose(button));
    this.find("opacity").addEventListener("input", (event) => viewer.setOpacity(Number(event.target.value) / 100));
  }

  #draw() {
    const { viewer } = this;
    const press = (button, on) => button.setAttribute("aria-pressed", String(on));
    for (const button of document.querySelectorAll("[data-view]")) press(button, button.dataset.view === viewer.view);
    this.find("layer-buttons").hidden = Object.keys(viewer.layers).length < 2;
    for (const button of document.querySelectorAll("[data-layer]")) {
      press(button, button.dataset.layer === viewer.layerName);
      button.hidden = !(button.dataset.layer in viewer.layers);
    }
    for (const button of this.findings) press(button, button.dataset.code === viewer.finding);
    press(document.querySelector('[data-action="invert"]'), viewer.inverted);
    const outline = document.querySelector('[data-action="outline"]');
    press(outline, viewer.outlineShown);
    outline.hidden = !viewer.data.views[viewer.view].outline;
    this.find("opacity-bar").dataset.on = viewer.finding === null ? "no" : "yes";
    this.find("opacity-value").textContent = `${Math.round(viewer.opacity * 100)} %`;
    Object.assign(viewer.root.dataset, { view: viewer.view, layer: viewer.layerName, finding: viewer.finding ?? "" });
    this.#caption();
  }

  #caption() {
    const { viewer } = this;
    if (!viewer.film) return;
    const captions = viewer.captions();
    this.find("hud-layer").textContent = captions.layer;
    this.find("hud-layer").classList.toggle("derived", captions.derived);
    this.find("hud-window").textContent = captions.window;
    this.find("hud-pixel").textContent = captions.pixel;
    const button = this.findings.find((candidate) => candidate.dataset.code === viewer.finding);
    const shown = button && viewer.data.heatmaps[viewer.finding]?.[viewer.view];
    this.find("hud-finding").textContent = button
      ? `${button.dataset.name}\n${shown ? "heatmap" : "no heatmap in this view"}`
      : "";
  }
}
