/** Counts of a film's greys, and percentiles of them. */

const BINS = 4096;
const MOST_SAMPLES = 400_000;

export class Greys {
  constructor() {
    this.bins = new Uint32Array(BINS);
    this.count = 0;
  }

  add(value) {
    this.bins[value >> 4] += 1;
    this.count += 1;
  }

  /** The grey below which a share in [0, 1] of all lies; the full scale's ends when nothing was counted. */
  at(share) {
    if (!this.count) return share < 0.5 ? 0 : 65535;
    const wanted = this.count * share;
    let sum = 0;
    for (let bin = 0; bin < BINS; bin += 1) {
      sum += this.bins[bin];
      if (sum >= wanted) return bin * 16 + 8;
    }
    return 65535;
  }
}

/** Of the whole picture. */
export function greysOf({ values }) {
  const greys = new Greys();
  const stride = Math.max(1, Math.floor(values.length / MOST_SAMPLES));
  for (let index = 0; index < values.length; index += stride) greys.add(values[index]);
  return greys;
}

/**
 * Of the lungs, of what lies between them, and of the body beside them, between the lungs' upper and lower end.
 * @param film, mask layers on the same grid; the mask as in docs/conventions.md
 * @returns {{lungs: Greys, middle: Greys, body: Greys} | null} null when the mask has no two lungs
 */
export function greysByRegion(film, mask) {
  const { rows, columns } = mask;
  const lungs = new Greys();
  const middle = new Greys();
  const outside = new Greys();
  const stride = Math.max(1, Math.floor(Math.sqrt((rows * columns) / MOST_SAMPLES)));
  for (let row = 0; row < rows; row += stride) {
    const start = row * columns;
    let rightEnd = -1;
    let leftStart = columns;
    let any = false;
    for (let column = 0; column < columns; column += stride) {
      const side = mask.values[start + column];
      if (side) any = true;
      if (side === 128) rightEnd = Math.max(rightEnd, column);
      if (side === 255) leftStart = Math.min(leftStart, column);
    }
    if (!any) continue;
    const hasMiddle = rightEnd >= 0 && leftStart < columns;
    for (let column = 0; column < columns; column += stride) {
      const value = film.values[start + column];
      if (mask.values[start + column]) lungs.add(value);
      else {
        outside.add(value);
        if (hasMiddle && column > rightEnd && column < leftStart) middle.add(value);
      }
    }
  }
  if (!lungs.count || !middle.count) return null;
  return { lungs, middle, body: withoutAir(outside, lungs.at(0.02)) };
}

/** What is brighter than the darkest lung: open beam beside the body is not body. */
function withoutAir(greys, air) {
  const body = new Greys();
  for (let bin = 0; bin < BINS; bin += 1) {
    if (bin * 16 < air) continue;
    body.bins[bin] = greys.bins[bin];
    body.count += greys.bins[bin];
  }
  return body;
}
