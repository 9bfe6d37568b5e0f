/** Windows: which greys of the film span black to white. All in the film's 16-bit numbers. */

export const FULL = Object.freeze({ low: 0, high: 65535 });
const MIN_WIDTH = 64;
const LOWEST = -65535;
const HIGHEST = 131070;

export function widthOf(window) {
  return window.high - window.low;
}

export function levelOf(window) {
  return (window.low + window.high) / 2;
}

/** A window of at least MIN_WIDTH whose middle stays near the film's greys. */
export function makeWindow(level, width) {
  const half = Math.min(Math.max(width, MIN_WIDTH), 2 * 65535) / 2;
  const middle = Math.min(Math.max(level, LOWEST), HIGHEST);
  return { low: middle - half, high: middle + half };
}

/** Follows a drag: right widens, down raises the level (darkens). One pass over the stage is about one window. */
export function dragged(window, dx, dy) {
  const step = Math.max(widthOf(window), 2048) / 500;
  return makeWindow(levelOf(window) + dy * step, widthOf(window) + dx * step);
}

/** From the 1st to the 99th percentile of the greys, which a border or a marker does not move. */
export function autoWindow({ values }) {
  const bins = new Uint32Array(4096);
  const stride = Math.max(1, Math.floor(values.length / 400_000));
  let counted = 0;
  for (let index = 0; index < values.length; index += stride, counted += 1) bins[values[index] >> 4] += 1;
  const low = percentile(bins, counted * 0.01);
  const high = percentile(bins, counted * 0.99);
  return makeWindow((low + high) / 2, Math.max(high - low, MIN_WIDTH));
}

function percentile(bins, wanted) {
  let sum = 0;
  for (let bin = 0; bin < bins.length; bin += 1) {
    sum += bins[bin];
    if (sum >= wanted) return bin * 16 + 8;
  }
  return 65535;
}

/** A window in words: percent of the film's full scale. */
export function inWords(window) {
  const share = (value) => `${((value / 65535) * 100).toFixed(1)} %`;
  return `W ${share(widthOf(window))}  L ${share(levelOf(window))}`;
}
