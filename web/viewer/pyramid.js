/** Halved copies of a film: a film shown small is drawn from the copy of about that size, without flicker or cost. */

/** @type {WeakMap<object, object[]>} */
const made = new WeakMap();

/**
 * @returns levels {rows, columns, values}, the film's own grid first, each half of the one before, down to 64 pixels;
 * made once for each film
 */
export function pyramid(film) {
  const known = made.get(film);
  if (known) return known;
  let level = { rows: film.gridRows, columns: film.gridColumns, values: film.values };
  const levels = [level];
  while (Math.min(level.rows, level.columns) >= 128) {
    level = halved(level);
    levels.push(level);
  }
  made.set(film, levels);
  return levels;
}

/** Means of two by two; an odd last row or column is left out, as the graphics processor counts levels. */
function halved({ rows, columns, values }) {
  const small = { rows: rows >> 1, columns: columns >> 1, values: null };
  const means = new Uint16Array(small.rows * small.columns);
  for (let row = 0, target = 0; row < small.rows; row += 1) {
    let upper = 2 * row * columns;
    let lower = upper + columns;
    for (let column = 0; column < small.columns; column += 1, target += 1, upper += 2, lower += 2) {
      means[target] = (values[upper] + values[upper + 1] + values[lower] + values[lower + 1] + 2) >> 2;
    }
  }
  small.values = means;
  return small;
}

/** The level whose pixels are at least as fine as the screen's: 0 for a film shown at its own size or larger. */
export function levelFor(film, scale, count) {
  const gridStep = film.gridColumns / film.columns / scale;
  return Math.min(Math.max(Math.floor(Math.log2(gridStep)), 0), count - 1);
}
