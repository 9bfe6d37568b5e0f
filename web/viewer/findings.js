/** The list of findings: choosing one, its heatmap, and outlines by key. */

export class Findings {
  constructor(viewer) {
    this.viewer = viewer;
    this.rows = [...document.querySelectorAll("#findings .finding-row")];
    this.buttons = this.rows.map((row) => row.querySelector(".finding"));
    /** Code of the finding that is open in the list; its heatmap may be switched off all the same. */
    this.chosen = null;
    for (const button of this.buttons) {
      button.addEventListener("click", () => this.choose(this.chosen === button.dataset.code ? null : button.dataset.code));
    }
    viewer.addEventListener("change", () => this.#show());
  }

  choose(code) {
    this.chosen = code;
    this.#show(); // at once: its heatmap may take a while
    this.viewer.showFinding(code && this.viewer.data.heatmaps[code] ? code : null);
  }

  step(by) {
    const { rows } = this;
    if (!rows.length) return;
    const at = rows.findIndex((row) => row.dataset.code === this.chosen);
    const next = at < 0 ? (by > 0 ? 0 : rows.length - 1) : (at + by + rows.length) % rows.length;
    this.choose(rows[next].dataset.code);
    rows[next].scrollIntoView({ block: "nearest" });
  }

  /** The heatmap of the chosen finding, or of the first that has one. */
  toggleHeatmap() {
    const { viewer } = this;
    if (viewer.finding) return viewer.showFinding(null);
    const code = this.chosen ?? this.rows.find((row) => viewer.data.heatmaps[row.dataset.code])?.dataset.code;
    if (code && viewer.data.heatmaps[code]) this.choose(code);
  }

  toggleContours() {
    const { viewer } = this;
    if (!viewer.finding) this.toggleHeatmap();
    viewer.setHeatStyle(viewer.heatStyle === "colour" ? "contours" : "colour");
  }

  stepOpacity(by) {
    const share = Math.round(this.viewer.opacity * 100) + by;
    this.viewer.setOpacity(Math.min(Math.max(share, 0), 100) / 100);
  }

  toggleLungs() {
    this.#toggle(this.viewer.outlinesOffered.map(({ key }) => key).filter((key) => key.endsWith("-lung")));
  }

  toggleOutlines() {
    this.#toggle(this.viewer.outlinesOffered.map(({ key }) => key));
  }

  /** One step out: what is being measured, then comparison or review, then the finding. */
  leave() {
    const { viewer } = this;
    if (viewer.tool !== "window" || viewer.measures.drawn) viewer.setTool("window");
    else if (viewer.layouts.name === "bones") viewer.layouts.leaveBones();
    else if (viewer.layouts.comparison.isOn) viewer.layouts.endCompare();
    else if (viewer.lensOn) viewer.toggleLens();
    else if (this.chosen) this.choose(null);
    viewer.changed();
  }

  #toggle(keys) {
    const { viewer } = this;
    if (!keys.length) return;
    viewer.setOutlines(keys, !keys.every((key) => viewer.outlineKeys.has(key)));
  }

  #show() {
    for (const [index, row] of this.rows.entries()) {
      const isChosen = row.dataset.code === this.chosen;
      const isShown = isChosen && this.viewer.finding === this.chosen;
      row.classList.toggle("chosen", isChosen);
      this.buttons[index].setAttribute("aria-pressed", String(isShown));
      this.buttons[index].setAttribute("aria-expanded", String(isChosen));
      row.querySelector(".finding-detail").hidden = !isChosen;
    }
  }
}
