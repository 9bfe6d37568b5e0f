/**
 * Places to step through when looking for broken ribs: those the fracture network points at, or, where it points at
 * none or was not trained, a walk along the ribs that suspects nothing.
 */

const LEVELS = 9;
/** Where a level is looked at, as a share of the lung's width from its outer border: the side, and the back. */
const SPOTS = [
  { share: 0.1, label: "outer" },
  { share: 0.55, label: "posterior" },
];
const LUNGS = [
  { value: 128, side: "right" },
  { value: 255, side: "left" },
];

/** @typedef {{column: number, row: number, label: string}} Stop */

/** @returns {Stop[]} middles of the regions of the fracture finding on the frontal film */
export function suspectedStops(regions) {
  return regions
    .filter(({ view }) => view === "frontal")
    .map(({ box: [x0, y0, x1, y1], zone }) => ({ column: (x0 + x1) / 2, row: (y0 + y1) / 2, label: zone }));
}

/** @returns {Stop[]} right lung, then left lung, from top to bottom, at each level from the side to the back */
export function walkStops(mask) {
  return LUNGS.flatMap((lung) => stopsOf(mask, lung));
}

function stopsOf({ rows, columns, values }, { value, side }) {
  const spans = [];
  for (let row = 0; row < rows; row += 1) {
    const line = values.subarray(row * columns, (row + 1) * columns);
    const first = line.indexOf(value);
    if (first >= 0) spans.push({ row, first, last: line.lastIndexOf(value) });
  }
  if (!spans.length) return [];
  const stops = [];
  for (let level = 0; level < LEVELS; level += 1) {
    const { row, first, last } = spans[Math.floor(((level + 0.5) / LEVELS) * spans.length)];
    for (const { share, label } of SPOTS) {
      // The right lung's outer border is on the picture's left.
      const column = side === "right" ? first + share * (last - first) : last - share * (last - first);
      stops.push({ column: column + 0.5, row: row + 0.5, label: `${side} side, level ${level + 1} of ${LEVELS}, ${label}` });
    }
  }
  return stops;
}
