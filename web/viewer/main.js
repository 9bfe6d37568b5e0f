/** Entry of the study page: reads what the page says, and puts viewer, panel, pointer and keys together. */
import { commandsOf } from "./commands.js";
import { Findings } from "./findings.js";
import { Help } from "./help.js";
import { KeyMap, listenToKeys } from "./keys.js";
import { layer } from "./layers.js";
import { ModelCard } from "./model-card.js";
import { listenToPointer } from "./pointer.js";
import { ReviewSheet } from "./review-sheet.js";
import { Reviews } from "./reviews.js";
import { RibReview } from "./rib-review.js";
import { Toolbar } from "./toolbar.js";
import { Viewer } from "./viewer.js";

const data = JSON.parse(document.getElementById("viewer-data").textContent);
const root = document.getElementById("viewer");

function build() {
  const wanted = new URLSearchParams(location.search).get("renderer");
  const viewer = new Viewer(root, data, ["webgl", "canvas"].includes(wanted) ? wanted : "best");
  const findings = new Findings(viewer);
  const sheet = new ReviewSheet(`${data.addresses.api}/studies/${encodeURIComponent(data.study)}/reviews`, data.job);
  const reviews = new Reviews(viewer, findings, sheet);
  const ribs = new RibReview(viewer);
  const reset = () => {
    findings.choose(null);
    viewer.reset();
  };
  let help = null;
  const commands = commandsOf({ viewer, findings, reviews, ribs, reset, help: () => help.open() });
  const map = new KeyMap(commands, data.reader);
  help = new Help(document.getElementById("help"), map);
  new ModelCard(document.getElementById("model-card"), data.addresses, data.weights);
  new Toolbar(viewer, map);
  listenToKeys(map);
  listenToPointer(viewer);
  return viewer;
}

/** The film first, small and then whole; then the other view; then what can be switched to. */
async function open(viewer) {
  const { views } = viewer;
  await Promise.all(views.map((view) => viewer.glimpse(view).catch(() => null)));
  performance.mark("radsuite-first-look");
  await viewer.openFilms(views);
  performance.mark("radsuite-films");
  for (const { layers, lungs } of Object.values(data.views)) {
    for (const { url } of Object.values(layers)) await layer(url).catch(() => null);
    if (lungs) await layer(lungs).catch(() => null);
  }
  performance.mark("radsuite-layers");
  root.dataset.layers = "all";
  await addPrior(viewer);
}

async function addPrior(viewer) {
  const answer = await fetch(data.addresses.priors, { headers: { Accept: "application/json" } }).catch(() => null);
  if (!answer?.ok) return;
  const { latest } = await answer.json();
  if (!latest) return;
  viewer.addPrior(latest);
  await viewer.openFilms(viewer.views.filter((view) => view.startsWith("prior")));
}

if (Object.keys(data.views).length === 0) {
  root.dataset.state = "failed";
  document.getElementById("stage-message").textContent = "No picture of this film was stored.";
} else {
  open(build());
}
