/** What the corners of the panes say. */

export class Captions {
  constructor(viewer) {
    this.viewer = viewer;
  }

  show() {
    const { viewer } = this;
    for (const pane of viewer.panes) {
      const sight = viewer.sights.get(pane.view);
      const { url } = sight.facts.layers[pane.layerName(sight)];
      pane.caption(sight, {
        compared: viewer.layouts.isCompared(pane) ? viewer.layouts.comparison.inWords(sight) : null,
        finding: this.#finding(pane),
        scale: viewer.placeIn(pane).scale,
        pixel: this.#pixel(pane),
        isActive: pane === viewer.pane && ["all", "prior"].includes(viewer.layouts.name) && viewer.panes.length > 1,
        isFirstLook: viewer.films.isFirstLook(url),
      });
    }
  }

  #finding(pane) {
    const { finding, heatStyle, data } = this.viewer;
    if (!finding || pane.view.startsWith("prior")) return "";
    const shown = data.heatmaps[finding]?.[pane.view];
    const how = heatStyle === "colour" ? "heatmap" : "contours";
    return `${data.names[finding]}\n${shown ? how : "no heatmap in this view"}`;
  }

  /** Grey and place of the film's pixel under the pointer. */
  #pixel(pane) {
    const { pointer, sights, films } = this.viewer;
    if (!pointer || pointer.view !== pane.view) return "";
    const sight = sights.get(pane.view);
    const { url } = sight.facts.layers[pane.layerName(sight)];
    const film = films.get(url);
    const [row, column] = [Math.floor(pointer.row), Math.floor(pointer.column)];
    if (!film || films.isFirstLook(url)) return "";
    if (row < 0 || column < 0 || row >= film.rows || column >= film.columns) return "";
    const share = (film.values[row * film.columns + column] / 65535) * 100;
    return `${share.toFixed(1)} %\nrow ${row}  column ${column}`;
  }
}
