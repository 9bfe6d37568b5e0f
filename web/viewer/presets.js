/**
 * Named windows. A radiograph has no absolute scale as a CT has, so all but "Full" are read off this film's own greys:
 * those of its lungs, of what lies between them, and of the body beside them.
 */
import { greysByRegion, greysOf } from "./greys.js";
import { layer } from "./layers.js";
import { FULL, between, widthOf } from "./window-level.js";

/** @type {{name: string, label: string, detail: string, needsLungs: boolean}[]} */
export const PRESETS = [
  { name: "full", label: "Full", detail: "the film's whole scale", needsLungs: false },
  { name: "auto", label: "Auto", detail: "1st to 99th percentile of the picture", needsLungs: false },
  { name: "lungs", label: "Lungs", detail: "the greys inside the lung outline", needsLungs: true },
  { name: "mediastinum", label: "Mediastinum", detail: "the greys between the lungs", needsLungs: true },
  { name: "soft", label: "Soft tissue", detail: "lung and the softer half of the body", needsLungs: true },
  { name: "bone", label: "Bone", detail: "the brighter half of the body", needsLungs: true },
];

const BY_REGION = {
  lungs: ({ lungs }) => between(lungs.at(0.01), lungs.at(0.99)),
  mediastinum: ({ middle }) => between(middle.at(0.02), middle.at(0.99)),
  soft: ({ lungs, body }) => between(lungs.at(0.25), body.at(0.9)),
  bone: ({ body }) => between(body.at(0.35), body.at(0.998)),
};
const ROOM = 0.06;
/** A residual of next to nothing must not be blown up to look like something: 3 % of the scale at least. */
const NARROWEST_DIFFERENCE = 0.03 * 65535;

export function autoWindow(film) {
  const greys = greysOf(film);
  return between(greys.at(0.01), greys.at(0.99));
}

/** Of a layer that holds a difference: nothing is black, and almost the most there is is white. */
export function differenceWindow(film) {
  return between(0, Math.max(greysOf(film).at(0.997), NARROWEST_DIFFERENCE));
}

/**
 * The window of a preset for a film.
 * @param film the layer that is windowed
 * @param lungs address of the lung mask on its grid, or null
 * @returns {Promise<{low: number, high: number} | null>} null when this film does not offer the preset
 */
export async function presetWindow(name, film, lungs) {
  if (name === "full") return FULL;
  if (name === "auto") return autoWindow(film);
  if (!lungs) return null;
  const regions = greysByRegion(film, await layer(lungs));
  if (!regions) return null;
  const window = BY_REGION[name](regions);
  const room = widthOf(window) * ROOM;
  return { low: window.low - room, high: window.high + room };
}
