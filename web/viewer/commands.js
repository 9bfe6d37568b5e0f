/** Everything that can be done, once: what it is called, which keys do it at first, and what it does. */

const PAN_STEP = 40;
const WINDOW_STEP = 12;
const ARROWS = [[-1, 0], [1, 0], [0, -1], [0, 1]];

/**
 * @typedef {{id: string, group: string, does: string, keys: string[], run: (index: number, shift: boolean) => void}} Command
 * ``keys`` are values of KeyboardEvent.key; ``run`` is told which of them it was, whatever a reader made of them.
 */

/** @returns {Command[]} */
export function commandsOf({ viewer, findings, reviews, ribs, reset, help }) {
  const step = PAN_STEP * devicePixelRatio;
  const command = (group) => (id, does, keys, run) => ({ id, group, does, keys: keys.split(" "), run });
  const layers = command("Layers");
  const windows = command("Window");
  const place = command("Place");
  const over = command("Over the film");
  const compare = command("Compare");
  const measure = command("Tools");
  const review = command("Findings");
  const page = command("Page");
  return [
    layers("film", "Film", "1", () => viewer.show("film")),
    layers("bone_suppressed", "Soft tissue: bone-suppressed", "2", () => viewer.show("bone_suppressed")),
    layers("bone_subtracted", "Bone: bone-subtracted", "3", () => viewer.show("bone_subtracted")),
    layers("residual", "Removed: the residual", "4", () => viewer.show("residual")),
    windows("full", "Full scale", "5", () => viewer.preset("full")),
    windows("lungs", "Lungs", "6", () => viewer.preset("lungs")),
    windows("mediastinum", "Mediastinum", "7", () => viewer.preset("mediastinum")),
    windows("soft", "Soft tissue", "8", () => viewer.preset("soft")),
    windows("bone", "Bone", "9", () => viewer.preset("bone")),
    windows("auto", "From the picture's own greys", "a", () => viewer.preset("auto")),
    windows("wider", "Wider, narrower", "} {", (index) => viewer.dragWindow(index ? -WINDOW_STEP : WINDOW_STEP, 0)),
    windows("darker", "Darker, brighter", "\" '", (index) => viewer.dragWindow(0, index ? -WINDOW_STEP : WINDOW_STEP)),
    windows("invert", "Invert", "i", () => viewer.toggleInvert()),
    place("next-view", "Next view", "t", () => viewer.layouts.nextView()),
    place("alone", "This view alone, or all", "s", () => viewer.layouts.toggleAlone()),
    place("fit", "Fit", "f", () => viewer.fit()),
    place("one", "1:1, one film pixel per screen pixel", "z", () => viewer.one()),
    place("zoom", "Zoom in, out", "+ -", (index) => viewer.zoom(index ? 1 / 1.25 : 1.25)),
    place("move", "Move the film; with Shift: window", "ArrowLeft ArrowRight ArrowUp ArrowDown", (index, shift) => {
      const [dx, dy] = ARROWS[index];
      if (shift) viewer.dragWindow(dx * WINDOW_STEP, dy * WINDOW_STEP);
      else viewer.pan(-dx * step, -dy * step);
    }),
    place("turn", "Turn right by 90°", "e", () => viewer.turn()),
    place("mirror", "Mirror left and right", "m", () => viewer.mirror()),
    measure("window-tool", "Drag sets the window", "w", () => viewer.setTool("window")),
    measure("pan-tool", "Drag moves the film", "p", () => viewer.setTool("pan")),
    measure("length", "Measure a length", "l", () => viewer.setTool("length")),
    measure("angle", "Measure an angle", "q", () => viewer.setTool("angle")),
    measure("remove-measure", "Take back the last measurement", "Backspace", () => {
      viewer.measures.removeLast();
      viewer.changed();
    }),
    measure("magnifier", "Magnifier", "g", () => viewer.toggleLens()),
    over("outline", "Lung outline", "o", () => findings.toggleLungs()),
    over("outlines", "All outlines", "O", () => findings.toggleOutlines()),
    over("heatmap", "Heatmap on or off", "h", () => findings.toggleHeatmap()),
    over("contours", "Heatmap as colours or contours", "c", () => findings.toggleContours()),
    over("opacity", "Heatmap weaker, stronger", "[ ]", (index) => findings.stepOpacity(index ? 5 : -5)),
    compare("wipe", "Wipe", "v", () => viewer.layouts.compare("wipe")),
    compare("blend", "Blend", "b", () => viewer.layouts.compare("blend")),
    compare("flicker", "Flicker: one and the other in turn", "x", () => viewer.layouts.compare("flicker")),
    compare("side", "Side by side", "d", () => viewer.layouts.compare("side")),
    compare("share", "Move the edge, or the blend", "< >", (index) => viewer.layouts.moveCompare(index ? 0.05 : -0.05)),
    compare("prior", "The frontal film beside the earlier one", "P", () => viewer.layouts.togglePrior()),
    compare("bones", "Fracture review: bone beside film", "r", () => ribs.toggle()),
    compare("stop", "Previous, next place along the ribs", ", .", (index) => ribs.step(index ? 1 : -1)),
    review("finding", "Next, previous finding", "j k", (index) => findings.step(index ? -1 : 1)),
    review("accept", "Accept what is suggested, or add it", "y", () => reviews.judge(true)),
    review("reject", "Reject what is suggested", "n", () => reviews.judge(false)),
    review("comment", "Comment on the finding", "/", () => reviews.openComment()),
    review("undo", "Take back what I said last", "u", () => reviews.undoLast()),
    page("next-study", "Next study of the worklist", "PageDown", () => document.getElementById("next-study").click()),
    page("leave", "Leave comparison, tool and heatmap", "Escape", () => findings.leave()),
    page("reset", "Reset windows, places and layers", "0", () => reset()),
    page("help", "This list", "?", () => help()),
  ];
}
