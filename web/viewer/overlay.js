/** What lies over the film: lung outline, heatmap, boxes. Drawn in film coordinates, so it cannot slip. */

/** Dark violet to pale yellow: rising lightness, told apart with any colour vision (inferno, by van der Walt and Smith). */
const RAMP = [
  [27, 12, 65], [74, 12, 107], [120, 28, 109], [165, 44, 96], [207, 68, 70], [237, 105, 37], [251, 155, 6], [247, 209, 61], [252, 255, 164],
];
const OUTLINE = { 128: "#6fd6ff", 255: "#8df0c0" };

export function rampColour(share) {
  const at = Math.min(Math.max(share, 0), 1) * (RAMP.length - 1);
  const left = Math.min(Math.floor(at), RAMP.length - 2);
  return RAMP[left].map((value, channel) => Math.round(value + (RAMP[left + 1][channel] - value) * (at - left)));
}

/** A heatmap as a picture: colour and opacity both rise with the value, so that nothing stays nothing. */
export function heatPicture(map) {
  const picture = document.createElement("canvas");
  picture.width = map.columns;
  picture.height = map.rows;
  const table = new Uint32Array(256);
  for (let value = 0; value < 256; value += 1) {
    const [red, green, blue] = rampColour(value / 255);
    const alpha = Math.round(255 * Math.min(1, value / 96));
    table[value] = (alpha << 24) | (blue << 16) | (green << 8) | red;
  }
  const context = picture.getContext("2d");
  const image = context.createImageData(map.columns, map.rows);
  const words = new Uint32Array(image.data.buffer);
  for (let index = 0; index < words.length; index += 1) words[index] = table[map.values[index]];
  context.putImageData(image, 0, 0);
  return picture;
}

/** The borders between a mask's values as paths along pixel edges, one for each value; straight runs are one line. */
export function outlines({ rows, columns, values }) {
  const paths = new Map(Object.keys(OUTLINE).map((value) => [Number(value), new Path2D()]));
  const line = (value, x0, y0, x1, y1) => {
    const path = paths.get(value);
    path?.moveTo(x0, y0);
    path?.lineTo(x1, y1);
  };
  const trace = (count, length, before, after, draw) => {
    for (let edge = 0; edge <= count; edge += 1) {
      let value = 0;
      let start = 0;
      for (let along = 0; along <= length; along += 1) {
        const first = edge > 0 && along < length ? values[before(edge, along)] : 0;
        const second = edge < count && along < length ? values[after(edge, along)] : 0;
        const here = first === second ? 0 : second || first;
        if (here === value) continue;
        if (value) draw(value, edge, start, along);
        value = here;
        start = along;
      }
    }
  };
  trace(rows, columns, (row, column) => (row - 1) * columns + column, (row, column) => row * columns + column,
    (value, row, from, to) => line(value, from, row, to, row));
  trace(columns, rows, (column, row) => row * columns + column - 1, (column, row) => row * columns + column,
    (value, column, from, to) => line(value, column, from, column, to));
  return [...paths].map(([value, path]) => ({ path, colour: OUTLINE[value] }));
}

export class Overlay {
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
  }

  /** @param parts {outlines, heat, opacity, boxes}; each may be missing. */
  draw(place, { outlines: lines, heat, opacity, boxes }) {
    const { context } = this;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    context.setTransform(place.scale, 0, 0, place.scale, place.x, place.y);
    if (heat) {
      context.globalAlpha = opacity;
      context.imageSmoothingEnabled = place.scale < 4;
      context.drawImage(heat, 0, 0);
      context.globalAlpha = 1;
    }
    const hair = devicePixelRatio / place.scale;
    for (const { path, colour } of lines ?? []) {
      context.lineWidth = 1.5 * hair;
      context.lineCap = "square";
      context.strokeStyle = colour;
      context.stroke(path);
    }
    for (const [x0, y0, x1, y1] of boxes ?? []) {
      const room = 6 * hair;
      context.lineWidth = 1.25 * hair;
      context.setLineDash([5 * hair, 4 * hair]);
      context.strokeStyle = "#ffd9a3";
      context.strokeRect(x0 - room, y0 - room, x1 - x0 + 2 * room, y1 - y0 + 2 * room);
      context.setLineDash([]);
    }
  }
}
