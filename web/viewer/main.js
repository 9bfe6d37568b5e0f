/** Entry of the study page: reads what the page says, and puts viewer, panel, pointer and keys together. */
import { fillHelp, keyTable, listenToKeys } from "./keys.js";
import { layer } from "./layers.js";
import { Panel } from "./panel.js";
import { listenToPointer } from "./pointer.js";
import { Viewer } from "./viewer.js";

const data = JSON.parse(document.getElementById("viewer-data").textContent);
const root = document.getElementById("viewer");

async function open() {
  const wanted = new URLSearchParams(location.search).get("renderer") === "canvas" ? "canvas" : "webgl";
  const viewer = new Viewer(root, data, wanted);
  const panel = new Panel(viewer);
  const table = keyTable(viewer, panel);
  fillHelp(document.getElementById("help-keys"), table);
  listenToKeys(table);
  listenToPointer(viewer);
  await viewer.show("film");
  root.focus({ preventScroll: true });
  // The other layers come while the film is looked at, one after the other.
  for (const { layers } of Object.values(data.views)) {
    for (const { url } of Object.values(layers)) await layer(url).catch(() => null);
  }
}

if (Object.keys(data.views).length === 0) {
  root.dataset.state = "failed";
  document.getElementById("stage-message").textContent = "No picture of this film was stored.";
} else {
  open();
}
