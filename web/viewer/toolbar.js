/** Buttons of the viewer: what they show of its state, and how they change it. */
import { rampColour } from "./heat.js";
import { keyInWords } from "./keys.js";
import { PRESETS } from "./presets.js";

const LAYER_ORDER = ["film", "bone_suppressed", "bone_subtracted", "residual"];

export class Toolbar {
  constructor(viewer, map) {
    this.viewer = viewer;
    this.map = map;
    this.find = (id) => document.getElementById(id);
    this.#buildLayers();
    this.#buildPresets();
    this.#buildOutlines();
    this.#buildRamp();
    this.#listen();
    this.#title();
    map.addEventListener("change", () => this.#title());
    viewer.addEventListener("change", () => this.#show());
    viewer.addEventListener("hung", () => this.#placeEdge());
    viewer.addEventListener("drawn", () => this.#placeEdge());
    viewer.addEventListener("notice", (event) => this.#notice(event.detail));
  }

  #buildLayers() {
    const { viewer } = this;
    const offered = Object.assign({}, ...[...viewer.sights.values()].map(({ facts }) => facts.layers));
    const names = LAYER_ORDER.filter((name) => name in offered);
    if (names.length < 2) return;
    for (const name of names) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = offered[name].label;
      Object.assign(button.dataset, { layer: name, command: name, tells: `${offered[name].label}: ${offered[name].detail}` });
      this.find("layer-buttons").append(button);
      const option = document.createElement("option");
      option.value = name;
      option.textContent = offered[name].label;
      this.find("compare-other").append(option);
    }
  }

  #buildPresets() {
    for (const { name, label, detail } of PRESETS) {
      const option = document.createElement("option");
      option.value = name;
      option.textContent = label;
      option.title = detail;
      this.find("presets").append(option);
    }
  }

  #buildOutlines() {
    const { viewer } = this;
    const menu = this.find("outline-menu");
    for (const { key, label } of viewer.outlinesOffered) {
      const row = document.createElement("label");
      const box = document.createElement("input");
      box.type = "checkbox";
      box.dataset.outline = key;
      box.addEventListener("change", () => viewer.setOutlines([key], box.checked));
      const swatch = document.createElement("span");
      swatch.className = `swatch swatch-${key}`;
      row.append(box, swatch, label);
      menu.append(row);
    }
    this.find("outlines").hidden = viewer.outlinesOffered.length === 0;
  }

  #buildRamp() {
    for (let step = 0; step < 24; step += 1) {
      const bar = document.createElementNS("http://www.w3.org/2000/svg", "rect");
      const sides = { x: step * 4, y: 0, width: 4.2, height: 8, fill: `rgb(${rampColour(step / 23).join(",")})` };
      for (const [name, value] of Object.entries(sides)) bar.setAttribute(name, String(value));
      this.find("ramp").append(bar);
    }
  }

  #listen() {
    const { viewer } = this;
    for (const button of document.querySelectorAll("[data-command]:is(button)")) {
      if (button.closest("dialog")) continue;
      button.addEventListener("click", () => {
        const command = this.map.commands.find(({ id }) => id === button.dataset.command);
        command.run(Number(button.dataset.index ?? 0), false);
      });
    }
    this.find("presets").addEventListener("change", (event) => {
      viewer.preset(event.target.value);
      event.target.value = "";
      event.target.blur();
    });
    this.find("opacity").addEventListener("input", (event) => viewer.setOpacity(Number(event.target.value) / 100));
    this.find("compare-other").addEventListener("change", (event) => viewer.layouts.compareWith(event.target.value));
    this.find("compare-share").addEventListener("input", (event) => {
      viewer.layouts.comparison.share = Number(event.target.value) / 100;
      viewer.changed({ overlay: false });
    });
    this.#listenToEdge(this.find("wipe-edge"));
  }

  /** The edge of a wipe is dragged, or moved by arrows once it has the focus. */
  #listenToEdge(edge) {
    const { viewer } = this;
    edge.addEventListener("pointerdown", (event) => {
      edge.setPointerCapture(event.pointerId);
      edge.focus({ preventScroll: true });
      event.preventDefault();
      event.stopPropagation();
    });
    edge.addEventListener("pointermove", (event) => {
      if (!edge.hasPointerCapture(event.pointerId)) return;
      const box = viewer.layouts.comparedPane.element.getBoundingClientRect();
      viewer.layouts.comparison.share = 0;
      viewer.layouts.moveCompare((event.clientX - box.left) / box.width);
    });
    edge.addEventListener("keydown", (event) => {
      const by = { ArrowLeft: -0.02, ArrowRight: 0.02 }[event.key];
      if (by) viewer.layouts.moveCompare(by);
    });
  }

  /** Names with their keys, as they are now. */
  #title() {
    for (const option of this.find("presets").options) {
      const preset = PRESETS.find(({ name }) => name === option.value);
      const command = preset && this.map.commands.find(({ id }) => id === preset.name);
      if (preset) option.textContent = `${preset.label} (${keyInWords(this.map.keysOf(command)[0])})`;
    }
    for (const element of document.querySelectorAll("[data-command][data-tells]")) {
      const command = this.map.commands.find(({ id }) => id === element.dataset.command);
      const key = this.map.keysOf(command)[Number(element.dataset.index ?? 0)];
      element.title = `${element.dataset.tells} (${keyInWords(key)})`;
      if (!element.textContent.trim()) element.setAttribute("aria-label", element.dataset.tells);
    }
  }

  #show() {
    const { viewer, find } = this;
    const { sight } = viewer;
    const { comparison } = viewer.layouts;
    const press = (selector, on) => document.querySelector(selector)?.setAttribute("aria-pressed", String(on));
    for (const button of document.querySelectorAll("#layer-buttons [data-layer]")) {
      button.setAttribute("aria-pressed", String(button.dataset.layer === sight.layer && viewer.layouts.name !== "bones"));
    }
    for (const tool of ["window", "pan"]) press(`.rail [data-command="${tool}-tool"]`, viewer.tool === tool);
    for (const tool of ["length", "angle"]) press(`.rail [data-command="${tool}"]`, viewer.tool === tool);
    for (const mode of ["wipe", "blend", "flicker", "side"]) press(`.rail [data-command="${mode}"]`, comparison.mode === mode);
    press('.rail [data-command="magnifier"]', viewer.lensOn);
    press('.rail [data-command="invert"]', sight.inverted);
    press('.rail [data-command="bones"]', viewer.layouts.name === "bones");
    press('.rail [data-command="prior"]', viewer.layouts.name === "prior");
    document.querySelector('.rail [data-command="prior"]').hidden = !viewer.sights.has("prior");
    document.querySelector('.rail [data-command="alone"]').hidden = viewer.views.length < 2;
    press('.rail [data-command="alone"]', viewer.layouts.name === "alone");
    press('.rail [data-command="mirror"]', sight.place.turn[0] * sight.place.turn[3] - sight.place.turn[1] * sight.place.turn[2] < 0);
    for (const box of document.querySelectorAll("[data-outline]")) box.checked = viewer.outlineKeys.has(box.dataset.outline);
    for (const option of find("presets").options) {
      const preset = PRESETS.find(({ name }) => name === option.value);
      option.disabled = Boolean(preset?.needsLungs && !sight.facts.lungs);
    }
    find("heat-bar").hidden = viewer.finding === null;
    find("heat-style").textContent = viewer.heatStyle === "colour" ? "Contours" : "Colours";
    find("opacity").value = String(Math.round(viewer.opacity * 100));
    find("opacity").disabled = viewer.heatStyle !== "colour";
    find("opacity-value").textContent = `${Math.round(viewer.opacity * 100)} %`;
    find("compare-bar").hidden = !comparison.isOn;
    find("compare-share-field").hidden = comparison.mode !== "wipe" && comparison.mode !== "blend";
    find("compare-share").value = String(comparison.percent);
    if (comparison.isOn) {
      const compared = viewer.sights.get(comparison.view);
      find("compare-first").textContent = compared.facts.layers[compared.layer].label;
      find("compare-other").value = comparison.other;
      for (const option of find("compare-other").options) option.disabled = option.value === compared.layer;
    }
    find("bones-bar").hidden = viewer.layouts.name !== "bones";
    find("bar-rest").hidden = viewer.finding !== null || comparison.isOn || viewer.layouts.name === "bones";
    Object.assign(viewer.root.dataset, {
      view: viewer.active, layer: sight.layer, finding: viewer.finding ?? "", tool: viewer.tool, layout: viewer.layouts.name,
      compare: comparison.mode, heat: viewer.heatStyle,
    });
  }

  #placeEdge() {
    const { viewer } = this;
    const edge = this.find("wipe-edge");
    const pane = viewer.layouts.comparedPane;
    edge.hidden = viewer.layouts.comparison.mode !== "wipe" || !pane;
    if (edge.hidden) return;
    const { left, top, width, height } = pane.rect;
    edge.style.left = `${(left + Math.round(width * viewer.layouts.comparison.share)) / devicePixelRatio}px`;
    edge.style.top = `${top / devicePixelRatio}px`;
    edge.style.height = `${height / devicePixelRatio}px`;
    edge.setAttribute("aria-valuenow", String(viewer.layouts.comparison.percent));
  }

  #notice(text) {
    const notice = this.find("notice");
    notice.textContent = text;
    notice.hidden = false;
    clearTimeout(this.noticeTimer);
    this.noticeTimer = setTimeout(() => (notice.hidden = true), 6000);
  }
}
