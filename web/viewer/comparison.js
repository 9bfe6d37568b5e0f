/** Two layers of one view in one place: a wipe with an edge, a blend, or the one and the other in turn. */

export class Comparison {
  constructor() {
    this.mode = "off";
    /** The view whose layers are compared, while they are. */
    this.view = null;
    /** The second layer; kept when a comparison ends, so that the next begins with it. */
    this.other = null;
    /** Where the edge stands in the pane, or how much of the second layer is blended in: 0 to 1. */
    this.share = 0.5;
    this.showsOther = false;
  }

  get isOn() {
    return this.mode !== "off";
  }

  /** Whether the second layer lies over the first, as opposed to beside it. */
  get isOverlaid() {
    return this.isOn && this.mode !== "side";
  }

  start(mode, view, other) {
    Object.assign(this, { mode, view, other, share: 0.5, showsOther: mode === "flicker" });
  }

  end() {
    Object.assign(this, { mode: "off", view: null, showsOther: false });
  }

  flick() {
    this.showsOther = !this.showsOther;
  }

  move(by) {
    this.share = Math.min(Math.max(this.share + by, 0), 1);
  }

  /** What is drawn over the first layer: {name, alpha, rect}. */
  parts(rect) {
    const { other: name, share } = this;
    if (this.mode === "flicker") return this.showsOther ? [{ name, alpha: 1, rect }] : [];
    if (this.mode === "blend") return share > 0 ? [{ name, alpha: share, rect }] : [];
    const edge = Math.round(rect.width * share);
    return [{ name, alpha: 1, rect: { ...rect, left: rect.left + edge, width: rect.width - edge } }];
  }

  inWords({ layer, facts: { layers } }) {
    const [first, second] = [layers[layer].label, layers[this.other].label];
    if (this.mode === "wipe") return `${first} | ${second}`;
    if (this.mode === "blend") return `${first} ${100 - this.percent} %, ${second} ${this.percent} %`;
    return this.showsOther ? `${second}, in turn with ${first}` : `${first}, in turn with ${second}`;
  }

  get percent() {
    return Math.round(this.share * 100);
  }
}
