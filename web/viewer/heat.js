/** A finding's heatmap as colours or as contours. */
import { contour } from "./contours.js";

/** Dark violet to pale yellow: rising lightness, told apart with any colour vision (inferno, by van der Walt and Smith). */
const RAMP = [
  [27, 12, 65], [74, 12, 107], [120, 28, 109], [165, 44, 96], [207, 68, 70], [237, 105, 37], [251, 155, 6], [247, 209, 61],
  [252, 255, 164],
];
/** Shares of the map's scale at which contours are drawn, and how wide. */
const CONTOURS = [
  { share: 0.25, width: 1 },
  { share: 0.5, width: 1.75 },
  { share: 0.75, width: 2.5 },
];

export function rampColour(share) {
  const at = Math.min(Math.max(share, 0), 1) * (RAMP.length - 1);
  const left = Math.min(Math.floor(at), RAMP.length - 2);
  return RAMP[left].map((value, channel) => Math.round(value + (RAMP[left + 1][channel] - value) * (at - left)));
}

/** Colour and opacity both rise with the value, so that nothing stays nothing. */
export function heatPicture(map) {
  const picture = document.createElement("canvas");
  picture.width = map.gridColumns;
  picture.height = map.gridRows;
  const table = new Uint32Array(256);
  for (let value = 0; value < 256; value += 1) {
    const [red, green, blue] = rampColour(value / 255);
    const alpha = Math.round(255 * Math.min(1, value / 96));
    table[value] = (alpha << 24) | (blue << 16) | (green << 8) | red;
  }
  const context = picture.getContext("2d");
  const image = context.createImageData(map.gridColumns, map.gridRows);
  const words = new Uint32Array(image.data.buffer);
  for (let index = 0; index < words.length; index += 1) words[index] = table[map.values[index]];
  context.putImageData(image, 0, 0);
  return picture;
}

/** Lines at a quarter, half and three quarters of the scale. */
export function heatContours(map) {
  return CONTOURS.map(({ share, width }) => ({
    path: contour(map, share * 255),
    width,
    colour: `rgb(${rampColour(0.55 + 0.45 * share).join(",")})`,
  }));
}
