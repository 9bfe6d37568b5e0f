/** The mouse, the pen and the finger on the stage. */

const REACH = 9;
const SHORTEST = 3;

export function listenToPointer(viewer) {
  const { stage } = viewer;
  const measuring = new MeasuringHand(viewer);
  let last = null;
  let pane = null;
  let does = null;
  const position = (event) => {
    const box = stage.getBoundingClientRect();
    return { x: (event.clientX - box.left) * devicePixelRatio, y: (event.clientY - box.top) * devicePixelRatio };
  };
  stage.addEventListener("pointerdown", (event) => {
    if (event.target.closest(".wipe-edge")) return;
    const at = position(event);
    pane = viewer.paneAt(at.x, at.y);
    if (!pane) return;
    stage.setPointerCapture(event.pointerId);
    viewer.layouts.activate(pane.view);
    pane = viewer.paneAt(at.x, at.y);
    last = at;
    const pans = event.shiftKey || event.button === 1 || event.button === 2 || viewer.tool === "pan";
    does = pans ? "pan" : measuring.press(pane, at) ? "measure" : "window";
    stage.classList.toggle("panning", pans);
    viewer.root.focus({ preventScroll: true });
    event.preventDefault();
  });
  stage.addEventListener("pointermove", (event) => {
    const now = position(event);
    const under = viewer.paneAt(now.x, now.y);
    viewer.point(under, now.x, now.y);
    if (!last) {
      if (under) measuring.hover(under, now);
      return;
    }
    const [dx, dy] = [now.x - last.x, now.y - last.y];
    if (does === "pan") viewer.pan(dx, dy, pane);
    else if (does === "measure") measuring.drag(pane, now);
    else viewer.dragWindow(dx / devicePixelRatio, dy / devicePixelRatio, pane);
    last = now;
  });
  const release = () => {
    if (does === "measure") measuring.release(pane);
    last = null;
    does = null;
    stage.classList.remove("panning");
  };
  stage.addEventListener("pointerup", release);
  stage.addEventListener("pointercancel", release);
  stage.addEventListener("pointerleave", () => viewer.point(null));
  stage.addEventListener("contextmenu", (event) => event.preventDefault());
  stage.addEventListener("dblclick", (event) => {
    if (viewer.tool === "window" || viewer.tool === "pan") viewer.layouts.toggleAlone();
    event.preventDefault();
  });
  stage.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      const at = position(event);
      const under = viewer.paneAt(at.x, at.y);
      if (!under) return;
      const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 30 : 1;
      viewer.zoom(Math.exp(-event.deltaY * lines * 0.0015), at, under);
    },
    { passive: false },
  );
}

/** Draws lengths by dragging, angles by dragging the first leg and clicking the end of the second. */
class MeasuringHand {
  constructor(viewer) {
    this.viewer = viewer;
    this.held = null;
    this.start = null;
  }

  /** @returns whether the press was for measuring */
  press(pane, at) {
    const { viewer } = this;
    const { measures } = viewer;
    const place = viewer.placeIn(pane);
    const toScreen = ({ column, row }) => {
      const [a, b, c, d] = place.turn;
      return { x: place.scale * (a * column + c * row) + place.left, y: place.scale * (b * column + d * row) + place.top };
    };
    const point = viewer.filmPoint(pane, at.x, at.y);
    if (measures.drawn?.kind === "angle" && measures.drawn.points.length === 3) {
      measures.drawn.points[2] = point;
      measures.finish();
      viewer.changed();
      this.held = null;
      return true;
    }
    this.held = measures.pointNear(pane.view, at.x, at.y, REACH * devicePixelRatio, toScreen);
    if (this.held) return true;
    if (viewer.tool !== "length" && viewer.tool !== "angle") return false;
    measures.drawn = { kind: viewer.tool, view: pane.view, points: [point, point] };
    this.start = at;
    viewer.changed();
    return true;
  }

  drag(pane, at) {
    const { measures } = this.viewer;
    const point = this.viewer.filmPoint(pane, at.x, at.y);
    if (this.held) this.held.measure.points[this.held.index] = point;
    else if (measures.drawn) measures.drawn.points[1] = point;
    this.end = at;
    this.viewer.changed();
  }

  /** The second leg follows the pointer without a button. */
  hover(pane, at) {
    const { drawn } = this.viewer.measures;
    if (drawn?.kind !== "angle" || drawn.points.length < 3 || drawn.view !== pane.view) return;
    drawn.points[2] = this.viewer.filmPoint(pane, at.x, at.y);
    this.viewer.changed();
  }

  release() {
    const { measures } = this.viewer;
    const moved = this.start && this.end && Math.hypot(this.end.x - this.start.x, this.end.y - this.start.y) >= SHORTEST;
    if (measures.drawn && this.start) {
      if (!moved) measures.drawn = null;
      else if (measures.drawn.kind === "length") measures.finish();
      else measures.drawn.points.push(measures.drawn.points[1]);
    }
    this.held = null;
    this.start = null;
    this.end = null;
    this.viewer.changed();
  }
}
