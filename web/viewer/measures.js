/** Lengths and angles on a film: their geometry, their words, and the words read back. */

/**
 * @typedef {{kind: "length" | "angle", view: string, points: {column: number, row: number}[], review?: number}} Measure
 * An angle's second point is its corner. ``review`` is the entry of the review sheet that keeps it.
 */

const WORDS = /^(Length|Angle) [^[\]]*\[(\w+)((?: -?\d+\.\d,-?\d+\.\d){2,3})\]/;

/** @param spacing [row, column] mm at the detector, or null */
function vector(from, to, spacing) {
  const [rowMm, columnMm] = spacing ?? [1, 1];
  return { x: (to.column - from.column) * columnMm, y: (to.row - from.row) * rowMm };
}

/** Of a length: in mm where the spacing is known, else in pixels. */
export function lengthOf({ points }, spacing) {
  const { x, y } = vector(points[0], points[1], spacing);
  return Math.hypot(x, y);
}

/** Between 0 and 180 degrees; 0 while a leg has no length. */
export function angleOf({ points }, spacing) {
  const first = vector(points[1], points[0], spacing);
  const second = vector(points[1], points[2] ?? points[1], spacing);
  const sizes = Math.hypot(first.x, first.y) * Math.hypot(second.x, second.y);
  if (!sizes) return 0;
  return (Math.acos(Math.min(Math.max((first.x * second.x + first.y * second.y) / sizes, -1), 1)) * 180) / Math.PI;
}

/** What stands beside the line. A length on a projection is one at the detector, whatever the anatomy's depth. */
export function valueInWords(measure, spacing) {
  if (measure.kind === "angle") return `${angleOf(measure, spacing).toFixed(1)}°`;
  const length = lengthOf(measure, spacing);
  return spacing ? `${length.toFixed(1)} mm at detector` : `${length.toFixed(0)} px`;
}

/** As it is attached to the review: people read the value, and the viewer finds the points again. */
export function inWords(measure, spacing) {
  const points = measure.points.map(({ column, row }) => `${column.toFixed(1)},${row.toFixed(1)}`).join(" ");
  const kind = measure.kind === "angle" ? "Angle" : "Length";
  return `${kind} ${valueInWords(measure, spacing)} [${measure.view} ${points}]`;
}

/** @returns {Measure | null} what a review's text tells of a measurement */
export function fromWords(text, review) {
  const found = WORDS.exec(text ?? "");
  if (!found) return null;
  const points = found[3].trim().split(" ").map((pair) => {
    const [column, row] = pair.split(",").map(Number);
    return { column, row };
  });
  const kind = found[1] === "Angle" ? "angle" : "length";
  return points.length === (kind === "angle" ? 3 : 2) ? { kind, view: found[2], points, review } : null;
}

/** All measurements of a study, and the one that is being drawn. */
export class Measures {
  constructor() {
    /** @type {Measure[]} */
    this.all = [];
    /** @type {Measure | null} */
    this.drawn = null;
  }

  of(view) {
    return [...this.all, ...(this.drawn ? [this.drawn] : [])].filter((measure) => measure.view === view);
  }

  /** Those nobody has attached to the review yet; they are gone when the page is closed. */
  get loose() {
    return this.all.filter((measure) => measure.review === undefined);
  }

  /** The loose point within ``reach`` screen pixels of a screen position: {measure, index}, or null. */
  pointNear(view, x, y, reach, toScreen) {
    for (const measure of this.loose) {
      if (measure.view !== view) continue;
      const index = measure.points.findIndex((point) => {
        const at = toScreen(point);
        return Math.hypot(at.x - x, at.y - y) <= reach;
      });
      if (index >= 0) return { measure, index };
    }
    return null;
  }

  finish() {
    if (this.drawn) this.all.push(this.drawn);
    this.drawn = null;
  }

  /** Takes back what is being drawn, else the latest that is loose. */
  removeLast() {
    if (this.drawn) this.drawn = null;
    else this.remove(this.loose.at(-1));
  }

  remove(measure) {
    this.all = this.all.filter((candidate) => candidate !== measure);
  }

  /** Shows those of the review sheet, instead of those it showed before. */
  setAttached(attached) {
    this.all = [...this.loose, ...attached];
  }
}
