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

export function between(low, high) {
  return makeWindow((low + high) / 2, high - low);
}

/** Follows a drag: right widens, down raises the level (darkens). One pass over the stage is about one window. */
export function dragged(window, dx, dy) {
  const step = Math.max(widthOf(window), 2048) / 500;
  return makeWindow(levelOf(window) + dy * step, widthOf(window) + dx * step);
}

/** A window in words: percent of the film's full scale. */
export function inWords(window) {
  const share = (value) => `${((value / 65535) * 100).toFixed(1)} %`;
  return `W ${share(widthOf(window))}  L ${share(levelOf(window))}`;
}
