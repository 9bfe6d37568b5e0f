/** Quarter turns and mirror images, as the matrix (a, b, c, d): x' = a x + c y, y' = b x + d y on the screen. */

export const UPRIGHT = Object.freeze([1, 0, 0, 1]);

export function turnedRight([a, b, c, d]) {
  return clean([-b, a, -d, c]);
}

/** Left and right on the screen change places. */
export function mirrored([a, b, c, d]) {
  return clean([-a, b, -c, d]);
}

function clean(turn) {
  return turn.map((value) => value + 0); // no negative zero
}

/** Sides of the film as it stands on the screen. */
export function fitSides(film, [a]) {
  return a === 0 ? { rows: film.columns, columns: film.rows } : { rows: film.rows, columns: film.columns };
}

/** How the film differs from how it was acquired, in words; empty when it does not. */
export function turnInWords([a, b, c, d]) {
  const isMirrored = a * d - b * c < 0;
  // The turn that is left after a mirror image of the film: where its upper edge points.
  const degrees = { "0,1": 0, "-1,0": 90, "0,-1": 180, "1,0": 270 }[`${c + 0},${d + 0}`];
  return [isMirrored ? "Mirrored" : "", degrees ? `Turned ${degrees}°` : ""].filter(Boolean).join(", ");
}

/** Letters at the pane's left and right edge: whose side is there. Null when the sides are not left and right. */
export function sideLetters([a]) {
  if (a === 0) return null;
  return a > 0 ? { left: "R", right: "L" } : { left: "L", right: "R" };
}
