/** Draws the film without a graphics processor: a table from grey to screen value, then a scaled copy. */

export class CanvasRenderer {
  name = "canvas";

  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d", { alpha: false });
    this.picture = document.createElement("canvas");
    this.table = new Uint8ClampedArray(65536);
    this.shown = { film: null, low: 0, high: 0, inverted: false };
  }

  canShow() {
    return true;
  }

  draw(film, place, window, inverted) {
    this.#paint(film, window, inverted);
    const { context } = this;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.fillStyle = "#000";
    context.fillRect(0, 0, this.canvas.width, this.canvas.height);
    context.setTransform(place.scale, 0, 0, place.scale, place.x, place.y);
    context.imageSmoothingEnabled = true;
    context.imageSmoothingQuality = "high";
    context.drawImage(this.picture, 0, 0);
  }

  /** Windowed once for each window, not for each zoom or move. */
  #paint(film, window, inverted) {
    const { shown, table, picture } = this;
    const same = shown.film === film && shown.low === window.low && shown.high === window.high;
    if (same && shown.inverted === inverted) return;
    const gain = 255 / (window.high - window.low);
    for (let grey = 0; grey < 65536; grey += 1) {
      const value = (grey - window.low) * gain;
      table[grey] = inverted ? 255 - value : value;
    }
    picture.width = film.columns;
    picture.height = film.rows;
    const target = picture.getContext("2d");
    const image = target.createImageData(film.columns, film.rows);
    const words = new Uint32Array(image.data.buffer);
    for (let index = 0; index < words.length; index += 1) words[index] = 0xff000000 | (table[film.values[index]] * 0x010101);
    target.putImageData(image, 0, 0);
    this.shown = { film, low: window.low, high: window.high, inverted };
  }
}
