/** Where a number comes from: the model card of the network that made it, and what was measured for this finding. */

const FIGURES = {
  auc: "AUC on held-out patients",
  ece: "Calibration error (ECE)",
  sensitivity: "Sensitivity at the operating point",
  specificity: "Specificity at the operating point",
  brier: "Brier score",
};

export class ModelCard {
  /** @param addresses of the interface and of cards; @param weights sha256 by stage, as the report names them */
  constructor(dialog, addresses, weights) {
    this.dialog = dialog;
    this.addresses = addresses;
    this.weights = weights;
    for (const button of document.querySelectorAll("[data-card]")) {
      button.addEventListener("click", () => this.open(button.dataset.card, button.dataset.finding ?? null, button.dataset.name ?? ""));
    }
  }

  async open(stage, finding, name) {
    const title = this.dialog.querySelector("h2");
    const body = this.dialog.querySelector(".card-body");
    title.textContent = name ? `Where the number for ${name.toLowerCase()} comes from` : "Where this number comes from";
    body.replaceChildren(paragraph("Loading the model card"));
    this.dialog.querySelector(".whole-card").href = this.addresses.card.replace("NAME", encodeURIComponent(stage));
    this.dialog.showModal();
    try {
      const answer = await fetch(`${this.addresses.api}/models/${encodeURIComponent(stage)}`);
      const content = await answer.json();
      if (!answer.ok) throw new Error(content.detail);
      body.replaceChildren(...this.#fill(stage, finding, content));
    } catch (error) {
      body.replaceChildren(paragraph(error instanceof TypeError ? "The server does not answer; try again." : error.message));
    }
  }

  #fill(stage, finding, { title, sha256, parameters, card }) {
    const head = finding ? card.heads?.[finding] : card;
    const rows = [
      ["Network", `${title}, ${parameters.toLocaleString("en")} parameters`],
      ...figures(card.metrics ?? {}, finding, setOf(head)),
      ...calibration(head?.calibration),
      ...(head?.training_positives !== undefined ? [["Positive films in training", String(head.training_positives)]] : []),
      ["Learned from", Object.entries(card.data ?? {}).map(([set, films]) => `${set}: ${films} films`).join(", ")],
      ["Split", card.split],
      ["Intended use", card.intended_use],
      ["Limits", card.limits],
      ["Licence", card.licence],
      ["Weights, sha256", sha256],
    ];
    const list = document.createElement("dl");
    list.className = "pairs";
    for (const [what, value] of rows.filter(([, given]) => given)) {
      const term = document.createElement("dt");
      term.textContent = what;
      const meaning = document.createElement("dd");
      meaning.textContent = value;
      list.append(term, meaning);
    }
    const read = this.weights[stage];
    const isOther = read && read !== sha256;
    const warning = `This study was read with other weights (${read?.slice(0, 12)}…) than those installed now; read it again to compare.`;
    return [...(isOther ? [paragraph(warning, "warn")] : []), list];
  }
}

/** The data set whose figures hold for a head: the one it is calibrated on, or else one that taught it. */
function setOf(head) {
  const taught = Object.entries(head?.training_positives_by_set ?? {}).find(([, positives]) => positives > 0);
  return head?.calibrated_on ?? taught?.[0];
}

/** Figures of a finding; where a network learned from several data sets they go by the set's name. */
function figures(metrics, finding, set) {
  return Object.entries(FIGURES).flatMap(([name, words]) => {
    const key = finding ? `${name}_${finding}` : name;
    const figure = metrics[key] ?? metrics[`${set}_${key}`];
    if (!figure || figure.value === null) return [];
    const range = figure.interval ? ` (95 % interval ${figure.interval.map((bound) => bound.toFixed(3)).join(" to ")})` : "";
    return [[words, `${figure.value.toFixed(3)}${range}, ${figure.n} films${key in metrics ? "" : ` of ${set}`}`]];
  });
}

function calibration(given) {
  if (!given) return [];
  const { source, positives, negatives, operating_point: point, rule } = given;
  const counts = positives === undefined ? "" : `: ${positives} with, ${negatives} without`;
  return [
    ["Calibrated on", source ? `${source}${counts}` : ""],
    ["Operating point", point === undefined ? "" : `${(point * 100).toFixed(1)} %${rule ? `, by ${rule}` : ""}`],
  ];
}

function paragraph(text, kind = "hint") {
  const line = document.createElement("p");
  line.className = kind;
  line.textContent = text;
  return line;
}
