/** Every key, what it does, and the help that lists them: one table. */

const PAN_STEP = 40;
const WINDOW_STEP = 12;

/** Rows of {keys, does, run}; rows without ``run`` tell what the mouse does. */
export function keyTable(viewer, panel) {
  const step = PAN_STEP * devicePixelRatio;
  return [
    { keys: ["drag"], does: "Window: left and right its width, up and down its level" },
    { keys: ["wheel"], does: "Zoom at the pointer" },
    { keys: ["Shift drag"], does: "Move the film; so does the right or middle button" },
    { keys: ["double click"], does: "Fit" },
    { keys: ["1"], does: "Film", run: () => viewer.show("film") },
    { keys: ["2"], does: "Bone-suppressed: soft tissue alone", run: () => viewer.show("bone_suppressed") },
    { keys: ["3"], does: "Bone-subtracted: the skeleton alone", run: () => viewer.show("bone_subtracted") },
    { keys: ["4"], does: "Residual: what was taken away", run: () => viewer.show("residual") },
    { keys: ["l"], does: "Frontal or lateral", run: () => panel.nextView() },
    { keys: ["o"], does: "Lung outline", run: () => viewer.toggleOutline() },
    { keys: ["h"], does: "Heatmap on or off", run: () => panel.toggleHeatmap() },
    { keys: ["j", "k"], does: "Next or previous finding", run: (key) => panel.stepFinding(key === "j" ? 1 : -1) },
    { keys: ["[", "]"], does: "Heatmap weaker or stronger", run: (key) => panel.stepOpacity(key === "]" ? 5 : -5) },
    { keys: ["i"], does: "Invert", run: () => viewer.toggleInvert() },
    { keys: ["a"], does: "Window from the picture's own greys", run: () => viewer.auto() },
    { keys: ["f"], does: "Fit", run: () => viewer.fit() },
    { keys: ["z"], does: "1:1, one film pixel per screen pixel", run: () => viewer.one() },
    { keys: ["+", "-"], does: "Zoom", run: (key) => viewer.zoom(key === "-" ? 1 / 1.25 : 1.25) },
    {
      keys: ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"],
      shown: "arrows",
      does: "Move the film; with Shift: window",
      run: (key, shift) => {
        const dx = { ArrowLeft: -1, ArrowRight: 1 }[key] ?? 0;
        const dy = { ArrowUp: -1, ArrowDown: 1 }[key] ?? 0;
        if (shift) viewer.dragWindow(dx * WINDOW_STEP, dy * WINDOW_STEP);
        else viewer.pan(-dx * step, -dy * step);
      },
    },
    { keys: ["r"], does: "Reset window, zoom and layers", run: () => panel.reset() },
    { keys: ["?"], does: "This list", run: () => panel.help() },
  ];
}

/** Listens on the page; keys typed into a field or with Ctrl, Alt or Meta are the browser's. */
export function listenToKeys(table) {
  const runs = new Map(table.flatMap((row) => (row.run ? row.keys.map((key) => [key, row.run]) : [])));
  runs.set("=", runs.get("+"));
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || document.querySelector("dialog[open]")) return;
    const field = event.target.closest("input, select, textarea");
    if (field && !(field.type === "range" && !event.key.startsWith("Arrow"))) return;
    const run = runs.get(event.key) ?? runs.get(event.key.toLowerCase());
    if (!run) return;
    event.preventDefault();
    run(event.key, event.shiftKey);
  });
}

export function fillHelp(list, table) {
  for (const row of table) {
    const keys = document.createElement("dt");
    keys.textContent = row.shown ?? row.keys.join("  ");
    const does = document.createElement("dd");
    does.textContent = row.does;
    list.append(keys, does);
  }
}
