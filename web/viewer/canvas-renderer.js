/** Draws films without a graphics processor: a table from grey to screen value, then a scaled copy. */
import { levelFor, pyramid } from "./pyramid.js";

/** Windowed pictures that are kept: two panes with two layers each, and the lens. */
const MOST_PICTURES = 6;

export class CanvasRenderer {
  name = "canvas";

  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d", { alpha: false });
    this.table = new Uint32Array(65536);
    this.tableFor = "";
    /** @type {Map<string, HTMLCanvasElement>} the one used last comes last */
    this.pictures = new Map();
    this.numbers = new WeakMap();
    this.nextNumber = 1;
  }

  canShow() {
    return true;
  }

  forget() {}

  begin() {
    const { context, canvas } = this;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.globalAlpha = 1;
    context.fillStyle = "#000";
    context.fillRect(0, 0, canvas.width, canvas.height);
  }

  /** As WebGLRenderer.paint. */
  paint(film, place, { window, inverted, alpha = 1 }, rect, lens = null) {
    const { context } = this;
    const levels = pyramid(film);
    const index = levelFor(film, place.scale, levels.length);
    const picture = this.#picture(film, levels[index], index, window, inverted);
    context.save();
    context.beginPath();
    const [left, top] = [Math.round(rect.left), Math.round(rect.top)];
    context.rect(left, top, Math.round(rect.left + rect.width) - left, Math.round(rect.top + rect.height) - top);
    context.clip();
    if (lens) {
      context.beginPath();
      context.arc(lens.x, lens.y, lens.radius, 0, 2 * Math.PI);
      context.clip();
    }
    context.globalAlpha = alpha;
    if (alpha === 1) {
      context.fillStyle = "#000"; // beside the film; below a blended film it is black already
      context.fillRect(0, 0, this.canvas.width, this.canvas.height);
    }
    const [a, b, c, d] = place.turn.map((value) => value * place.scale);
    context.setTransform(a, b, c, d, place.left, place.top);
    context.imageSmoothingEnabled = true;
    context.imageSmoothingQuality = "low"; // bilinear, as in the shader; the halved copies do the rest
    context.drawImage(picture, 0, 0, film.columns, film.rows);
    context.restore();
  }

  /** Windowed once for each window, not for each zoom or move. */
  #picture(film, level, index, window, inverted) {
    if (!this.numbers.has(film)) this.numbers.set(film, this.nextNumber++);
    const key = [this.numbers.get(film), index, window.low, window.high, inverted].join("/");
    const known = this.pictures.get(key);
    if (known) {
      this.pictures.delete(key);
      this.pictures.set(key, known);
      return known;
    }
    this.#fillTable(window, inverted);
    const picture = this.#freeCanvas();
    Object.assign(picture, { width: level.columns, height: level.rows });
    const target = picture.getContext("2d");
    const image = target.createImageData(level.columns, level.rows);
    const words = new Uint32Array(image.data.buffer);
    const { table } = this;
    const { values } = level;
    for (let at = 0; at < words.length; at += 1) words[at] = table[values[at]];
    target.putImageData(image, 0, 0);
    this.pictures.set(key, picture);
    return picture;
  }

  #freeCanvas() {
    if (this.pictures.size < MOST_PICTURES) return document.createElement("canvas");
    const [oldest, canvas] = this.pictures.entries().next().value;
    this.pictures.delete(oldest);
    return canvas;
  }

  #fillTable({ low, high }, inverted) {
    const wanted = `${low}/${high}/${inverted}`;
    if (this.tableFor === wanted) return;
    this.tableFor = wanted;
    const gain = 255 / (high - low);
    for (let grey = 0; grey < 65536; grey += 1) {
      const value = Math.round(Math.min(Math.max((grey - low) * gain, 0), 255));
      this.table[grey] = 0xff000000 | ((inverted ? 255 - value : value) * 0x010101);
    }
  }
}
