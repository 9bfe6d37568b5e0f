/** What lies over the films: heatmap, outlines, boxes, measurements, marks. Placed as the films are, so it cannot slip. */
import { valueInWords } from "./measures.js";
import { toScreen } from "./placement.js";

const BOX_COLOUR = "#ffd9a3";
const MEASURE_COLOUR = "#ffe14d";
const MARK_COLOUR = "#7fd3e0";

export class Overlay {
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
  }

  begin() {
    this.context.setTransform(1, 0, 0, 1, 0, 0);
    this.context.clearRect(0, 0, this.canvas.width, this.canvas.height);
  }

  /**
   * @param place from placement.js
   * @param rect of the pane
   * @param parts {heat, opacity, contours, outlines, boxes, measures, spacing, mark, lens}; each may be missing
   */
  draw(place, rect, parts) {
    const { context } = this;
    context.save();
    context.beginPath();
    context.rect(rect.left, rect.top, rect.width, rect.height);
    context.clip();
    const [a, b, c, d] = place.turn.map((value) => value * place.scale);
    context.setTransform(a, b, c, d, place.left, place.top);
    const hair = devicePixelRatio / place.scale;
    if (parts.heat) this.#heat(parts.heat, parts.opacity, place.scale);
    for (const line of parts.contours ?? []) this.#line(line.path, line.colour, line.width * hair);
    for (const line of parts.outlines ?? []) this.#line(line.path, line.colour, 1.5 * hair);
    for (const box of parts.boxes ?? []) this.#box(box, hair);
    context.setTransform(1, 0, 0, 1, 0, 0);
    if (parts.mark) this.#mark(toScreen(place, parts.mark.column, parts.mark.row));
    for (const measure of parts.measures ?? []) this.#measure(measure, place, rect, parts.spacing);
    if (parts.lens) this.#lens(parts.lens);
    context.restore();
  }

  #heat({ picture, columns, rows }, opacity, scale) {
    const { context } = this;
    context.globalAlpha = opacity;
    context.imageSmoothingEnabled = scale < 4;
    context.drawImage(picture, 0, 0, columns, rows);
    context.globalAlpha = 1;
  }

  #line(path, colour, width) {
    const { context } = this;
    context.lineWidth = width;
    context.lineCap = "square";
    context.strokeStyle = colour;
    context.stroke(path);
  }

  #box([x0, y0, x1, y1], hair) {
    const { context } = this;
    const room = 6 * hair;
    context.lineWidth = 1.25 * hair;
    context.setLineDash([5 * hair, 4 * hair]);
    context.strokeStyle = BOX_COLOUR;
    context.strokeRect(x0 - room, y0 - room, x1 - x0 + 2 * room, y1 - y0 + 2 * room);
    context.setLineDash([]);
  }

  /** Four corners around a place, open in the middle so that nothing is hidden. */
  #mark({ x, y }) {
    const { context } = this;
    const [far, arm] = [26 * devicePixelRatio, 9 * devicePixelRatio];
    context.beginPath();
    for (const [sx, sy] of [[-1, -1], [1, -1], [1, 1], [-1, 1]]) {
      context.moveTo(x + sx * far, y + sy * (far - arm));
      context.lineTo(x + sx * far, y + sy * far);
      context.lineTo(x + sx * (far - arm), y + sy * far);
    }
    this.#strokeTwice(MARK_COLOUR, 1.5);
  }

  #measure(measure, place, rect, spacing) {
    const { context } = this;
    const points = measure.points.map(({ column, row }) => toScreen(place, column, row));
    context.beginPath();
    points.forEach(({ x, y }, index) => (index ? context.lineTo(x, y) : context.moveTo(x, y)));
    this.#strokeTwice(MEASURE_COLOUR, 1.5);
    context.beginPath();
    const reach = 4 * devicePixelRatio;
    for (const { x, y } of points) {
      context.moveTo(x + reach, y);
      context.arc(x, y, reach, 0, 2 * Math.PI);
    }
    this.#strokeTwice(MEASURE_COLOUR, 1.25);
    const last = points.at(-1);
    this.#label(valueInWords(measure, spacing), last, rect);
  }

  /** Above and right of a point, but inside the pane. */
  #label(text, { x, y }, rect) {
    const { context } = this;
    context.font = `600 ${13 * devicePixelRatio}px system-ui, sans-serif`;
    const room = 4 * devicePixelRatio;
    const width = context.measureText(text).width + 2 * room;
    const height = 18 * devicePixelRatio;
    const inside = (wanted, first, length, own) => Math.max(first, Math.min(wanted, first + length - own));
    const left = inside(x + 2 * room, rect.left, rect.width, width);
    const top = inside(y - height - 2 * room, rect.top, rect.height, height);
    context.fillStyle = "rgb(0 0 0 / 65%)";
    context.fillRect(left, top, width, height);
    context.fillStyle = MEASURE_COLOUR;
    context.fillText(text, left + room, top + height - 1.25 * room);
  }

  /** The lens shows the bare film: what lies over it is taken away there, and a ring drawn. */
  #lens({ x, y, radius }) {
    const { context } = this;
    context.save();
    context.beginPath();
    context.arc(x, y, radius, 0, 2 * Math.PI);
    context.clip();
    context.clearRect(x - radius, y - radius, 2 * radius, 2 * radius);
    context.restore();
    context.beginPath();
    context.arc(x, y, radius, 0, 2 * Math.PI);
    this.#strokeTwice("#d8e1e8", 1.5);
  }

  /** A dark line below the bright one keeps it visible on white. */
  #strokeTwice(colour, width) {
    const { context } = this;
    context.lineCap = "round";
    for (const [style, wide] of [["rgb(0 0 0 / 70%)", width + 2], [colour, width]]) {
      context.strokeStyle = style;
      context.lineWidth = wide * devicePixelRatio;
      context.stroke();
    }
  }
}
