/** What readers say of the findings, shown and said in the panel; measurements are attached here. */
import { fromWords, inWords, valueInWords } from "./measures.js";

const SAID = { accepted: "accepted", rejected: "rejected", added: "added", comment: "said" };
const MARKS = { accepted: "✓", rejected: "✗", added: "+" };

export class Reviews {
  constructor(viewer, findings, sheet) {
    this.viewer = viewer;
    this.findings = findings;
    this.sheet = sheet;
    this.reader = viewer.data.reader;
    this.find = (id) => document.getElementById(id);
    sheet.addEventListener("change", () => this.#show());
    viewer.addEventListener("change", () => this.#showMeasures());
    this.#listen();
    this.reload();
  }

  async reload() {
    await this.#try(() => this.sheet.load());
  }

  /** Accept or reject the chosen finding; what the network does not suggest is added. */
  async judge(isRight) {
    const row = this.#row();
    if (!row || !this.viewer.data.may_review) return;
    const isSuggested = row.dataset.suggested === "yes";
    if (!isRight && !isSuggested) return this.#notice("The network does not suggest this finding; there is nothing to reject.");
    const verdict = !isRight ? "rejected" : isSuggested ? "accepted" : "added";
    await this.#try(() => this.sheet.add({ verdict, finding: row.dataset.code }));
  }

  openComment() {
    const form = this.#row()?.querySelector(".comment-form") ?? this.find("comment-form");
    if (!form) return;
    form.hidden = false;
    form.querySelector("textarea").focus();
  }

  async undo(id) {
    await this.#try(() => this.sheet.undo(id));
  }

  async undoLast() {
    const entry = this.sheet.latestOf(this.reader);
    if (entry) await this.undo(entry.id);
    else this.#notice("There is nothing of yours to take back.");
  }

  #row() {
    return this.findings.rows.find((row) => row.dataset.code === this.findings.chosen) ?? null;
  }

  #listen() {
    for (const row of this.findings.rows) {
      row.querySelector(".accept")?.addEventListener("click", () => this.judge(true));
      row.querySelector(".reject")?.addEventListener("click", () => this.judge(false));
      row.querySelector(".comment")?.addEventListener("click", () => this.openComment());
      this.#listenToForm(row.querySelector(".comment-form"), row.dataset.code);
    }
    this.#listenToForm(this.find("comment-form"), null);
    // Another reader may have said something while this page lay open.
    document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && this.reload());
  }

  #listenToForm(form, finding) {
    if (!form) return;
    const field = form.querySelector("textarea");
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const text = field.value.trim();
      if (!text) return field.focus();
      const said = finding ? { verdict: "comment", finding, text } : { verdict: "comment", text };
      if (await this.#try(() => this.sheet.add(said))) {
        field.value = "";
        form.hidden = Boolean(finding);
        this.viewer.root.focus({ preventScroll: true });
      }
    });
    field.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
      if (event.key === "Escape") {
        form.hidden = Boolean(finding);
        this.viewer.root.focus({ preventScroll: true });
      }
    });
  }

  async #try(action) {
    try {
      await action();
      return true;
    } catch (error) {
      this.#notice(error instanceof TypeError ? "The server does not answer; check that it runs and try again." : error.message);
      return false;
    }
  }

  #notice(text) {
    this.viewer.say(text, true);
  }

  #show() {
    const { sheet } = this;
    for (const row of this.findings.rows) {
      const { code } = row.dataset;
      const verdict = sheet.standing[code];
      const badge = row.querySelector(".verdict");
      const latest = sheet.entries.findLast((entry) => entry.finding === code && entry.verdict === verdict && entry.undone_at === null);
      badge.textContent = verdict ? `${MARKS[verdict]} ${SAID[verdict]}` : "";
      badge.title = latest ? `by ${latest.user}` : "";
      row.dataset.verdict = verdict ?? "";
      row.querySelector(".accept")?.setAttribute("aria-pressed", String(verdict === "accepted" || verdict === "added"));
      row.querySelector(".reject")?.setAttribute("aria-pressed", String(verdict === "rejected"));
      this.#fill(row.querySelector(".said"), sheet.entries.filter((entry) => entry.finding === code));
    }
    this.#count();
    this.#fill(this.find("said-of-all"), sheet.entries.filter((entry) => entry.finding === null));
    this.#takeMeasures();
  }

  /** How much of what the network says is judged: a report is drafted from that. */
  #count() {
    const suggested = this.findings.rows.filter((row) => row.dataset.suggested === "yes");
    const judged = suggested.filter((row) => row.dataset.verdict);
    const place = this.find("judged");
    if (place) place.textContent = suggested.length ? `${judged.length} of ${suggested.length} judged` : "";
  }

  #fill(list, entries) {
    list?.replaceChildren(...entries.map((entry) => this.#entry(entry)));
  }

  #entry(entry) {
    const item = document.createElement("li");
    item.className = `entry ${entry.verdict}${entry.undone_at === null ? "" : " undone"}`;
    const who = document.createElement("span");
    who.className = "entry-who";
    const when = (moment) => new Date(moment).toLocaleString([], { dateStyle: "short", timeStyle: "short" });
    const isEarlier = entry.model_sha256 && entry.model_sha256 !== this.viewer.data.weights.diagnosis;
    const model = entry.model_sha256 ? `, model ${entry.model_sha256.slice(0, 8)}${isEarlier ? ", of an earlier reading" : ""}` : "";
    who.textContent = `${entry.user} ${SAID[entry.verdict]}, ${when(entry.created_at)}${model}`;
    item.append(who);
    if (entry.text) {
      const text = document.createElement("q");
      text.textContent = entry.text;
      item.append(text);
    }
    if (entry.undone_at !== null) {
      const undone = document.createElement("span");
      undone.className = "entry-who";
      undone.textContent = `taken back ${when(entry.undone_at)}`;
      item.append(undone);
    } else if (this.viewer.data.may_review && (entry.user === this.reader || this.viewer.data.may_undo_all)) {
      item.append(this.#button("Take back", () => this.undo(entry.id)));
    }
    return item;
  }

  /** Measurements that were attached are drawn again from what was written down. */
  #takeMeasures() {
    const { measures } = this.viewer;
    const attached = this.sheet.entries
      .filter((entry) => entry.verdict === "comment" && entry.undone_at === null)
      .map((entry) => fromWords(entry.text, entry.id))
      .filter(Boolean);
    measures.setAttached(attached);
    this.viewer.changed();
  }

  #showMeasures() {
    const { measures, sights } = this.viewer;
    const list = this.find("drawn");
    const signature = measures.all.map((measure) => JSON.stringify(measure)).join() + this.findings.chosen;
    if (!list || list.dataset.shows === signature) return;
    list.dataset.shows = signature;
    list.replaceChildren(
      ...measures.all.map((measure) => {
        const item = document.createElement("li");
        const spacing = sights.get(measure.view)?.facts.spacing_mm ?? null;
        const what = document.createElement("span");
        what.textContent = `${measure.kind === "angle" ? "Angle" : "Length"} ${valueInWords(measure, spacing)}, ${measure.view.replace("_", " ")}`;
        item.append(what);
        if (measure.review !== undefined) item.append(this.#small("attached"));
        else item.append(...this.#looseButtons(measure, spacing));
        return item;
      }),
    );
    this.find("drawn-card").hidden = measures.all.length === 0;
  }

  #looseButtons(measure, spacing) {
    const { viewer } = this;
    const row = this.#row();
    const remove = this.#button("Remove", () => {
      viewer.measures.remove(measure);
      viewer.changed();
    });
    if (!viewer.data.may_review || measure.view.startsWith("prior")) return [remove];
    const attach = this.#button(row ? `Attach to ${row.dataset.name.toLowerCase()}` : "Attach to the reading", async () => {
      const finding = row ? { finding: row.dataset.code } : {};
      viewer.measures.remove(measure);
      const done = await this.#try(() => this.sheet.add({ verdict: "comment", ...finding, text: inWords(measure, spacing) }));
      if (!done) viewer.measures.all.push(measure);
      viewer.changed();
    });
    return [attach, remove];
  }

  #button(label, run) {
    const button = document.createElement("button");
    Object.assign(button, { type: "button", className: "link", textContent: label });
    button.addEventListener("click", run);
    return button;
  }

  #small(text) {
    const span = document.createElement("span");
    span.className = "muted";
    span.textContent = text;
    return span;
  }
}
