/**
 * Where the film lies on the stage. ``scale`` is screen pixels per film pixel, ``x`` and ``y`` the stage position of
 * the film's upper left corner, all in device pixels.
 */

const MARGIN = 0.02;
const MAX_SCALE = 32;

export function fitted(size, film) {
  const scale = Math.min(size.width / film.columns, size.height / film.rows) * (1 - MARGIN);
  return centred(size, film, scale);
}

export function centred(size, film, scale) {
  return { scale, x: (size.width - film.columns * scale) / 2, y: (size.height - film.rows * scale) / 2 };
}

/** Zoomed by ``factor`` with the film's point under (px, py) staying there. */
export function zoomed(place, factor, px, py, size, film) {
  const smallest = fitted(size, film).scale / 4;
  const scale = Math.min(Math.max(place.scale * factor, smallest), MAX_SCALE);
  const real = scale / place.scale;
  return { scale, x: px - (px - place.x) * real, y: py - (py - place.y) * real };
}

export function moved(place, dx, dy) {
  return { ...place, x: place.x + dx, y: place.y + dy };
}

/** The film's pixel under a stage position: {row, column}, or null beside the film. */
export function pixelAt(place, px, py, film) {
  const column = Math.floor((px - place.x) / place.scale);
  const row = Math.floor((py - place.y) / place.scale);
  const inside = row >= 0 && column >= 0 && row < film.rows && column < film.columns;
  return inside ? { row, column } : null;
}

/** The same picture section on a stage of another size. */
export function resized(place, before, after) {
  return moved(place, (after.width - before.width) / 2, (after.height - before.height) / 2);
}
