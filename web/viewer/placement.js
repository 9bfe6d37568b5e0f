/**
 * Where a film lies in a pane, and how positions of one become positions of the other. A sight says what is looked
 * at, whatever the pane's size: {mode, zoom, column, row, turn}. ``mode`` is "fit", "one" (a film pixel is a screen
 * pixel) or "free"; ``zoom`` counts from the fitted size; (column, row) is the film's point in the pane's middle.
 * All lengths on the screen are device pixels.
 */
import { fitSides } from "./orientation.js";

const MARGIN = 0.02;
const MAX_SCALE = 32;
const SMALLEST_ZOOM = 0.25;

/** @returns screen pixels per film pixel when the whole film is shown */
export function fitScale(size, film, turn) {
  const sides = fitSides(film, turn);
  return Math.min(size.width / sides.columns, size.height / sides.rows) * (1 - MARGIN);
}

export function fittedSight(film, turn) {
  return { mode: "fit", zoom: 1, column: film.columns / 2, row: film.rows / 2, turn };
}

export function scaleOf(sight, size, film) {
  if (sight.mode === "one") return 1;
  return fitScale(size, film, sight.turn) * (sight.mode === "fit" ? 1 : sight.zoom);
}

/**
 * How film becomes screen: x' = scale (a x + c y) + left, y' = scale (b x + d y) + top, with (a, b, c, d) the turn.
 * @param rect the pane: {left, top, width, height}
 */
export function placeOf(sight, rect, film) {
  const scale = scaleOf(sight, rect, film);
  const [a, b, c, d] = sight.turn;
  const { column, row } = sight;
  return {
    scale,
    turn: sight.turn,
    left: rect.left + rect.width / 2 - scale * (a * column + c * row),
    top: rect.top + rect.height / 2 - scale * (b * column + d * row),
  };
}

export function toScreen({ scale, turn: [a, b, c, d], left, top }, column, row) {
  return { x: scale * (a * column + c * row) + left, y: scale * (b * column + d * row) + top };
}

/** Turns are orthonormal: the inverse is the transpose. */
export function toFilm({ scale, turn: [a, b, c, d], left, top }, x, y) {
  const [dx, dy] = [(x - left) / scale, (y - top) / scale];
  return { column: a * dx + b * dy, row: c * dx + d * dy };
}

/** The same turned film ``factor`` times larger, with its point (column, row) where it was. */
export function magnified(place, factor, column, row) {
  const held = toScreen(place, column, row);
  const larger = { ...place, scale: place.scale * factor, left: 0, top: 0 };
  const there = toScreen(larger, column, row);
  return { ...larger, left: held.x - there.x, top: held.y - there.y };
}

/** Zoomed by ``factor`` with the film's point under (x, y) staying there. */
export function zoomed(sight, factor, rect, film, x, y) {
  const before = placeOf(sight, rect, film);
  const fit = fitScale(rect, film, sight.turn);
  const scale = Math.min(Math.max(before.scale * factor, fit * SMALLEST_ZOOM), Math.max(MAX_SCALE, fit));
  const held = toFilm(before, x, y);
  const [dx, dy] = [(x - rect.left - rect.width / 2) / scale, (y - rect.top - rect.height / 2) / scale];
  const [a, b, c, d] = sight.turn;
  return {
    ...sight, mode: "free", zoom: scale / fit, column: held.column - (a * dx + b * dy), row: held.row - (c * dx + d * dy),
  };
}

/** Moved on the screen by (dx, dy). */
export function moved(sight, rect, film, dx, dy) {
  const scale = scaleOf(sight, rect, film);
  const [a, b, c, d] = sight.turn;
  const mode = sight.mode === "fit" ? "free" : sight.mode;
  return { ...sight, mode, column: sight.column - (a * dx + b * dy) / scale, row: sight.row - (c * dx + d * dy) / scale };
}

/** Looking at a point of the film with a given magnification over the fitted size. */
export function aimedAt(sight, column, row, zoom) {
  return { ...sight, mode: "free", zoom, column, row };
}

