/** The study's review sheet on the server: read, added to, taken back; never silently over somebody else's. */

export class ReviewSheet extends EventTarget {
  /** @param address of the study's reviews in the interface; @param job that made the reading on this page */
  constructor(address, job) {
    super();
    this.address = address;
    this.job = job;
    this.version = null;
    this.entries = [];
    this.standing = {};
  }

  async load() {
    const answer = await fetch(this.address, { headers: this.version ? { "If-None-Match": this.version } : {} });
    if (answer.status === 304) return;
    await this.#take(answer, "The reviews could not be loaded; reload the page.");
  }

  /** @param said {verdict, finding?, text?}, of the reading that is shown, though a newer one may be there */
  async add(said) {
    await this.#send(this.address, "POST", JSON.stringify({ ...said, job_id: this.job }));
  }

  async undo(id) {
    await this.#send(`${this.address}/${id}`, "DELETE", null);
  }

  /** The latest entry of a reader that was not taken back. */
  latestOf(reader) {
    return this.entries.findLast((entry) => entry.user === reader && entry.undone_at === null) ?? null;
  }

  async #send(address, method, body) {
    const headers = {
      "Content-Type": "application/json",
      "X-CSRF-Token": document.querySelector('meta[name="csrf-token"]').content,
      ...(this.version ? { "If-Match": this.version } : {}),
    };
    const answer = await fetch(address, { method, headers, body });
    if (answer.status === 412) {
      this.version = null;
      await this.load();
      throw new Error("Somebody else reviewed this study meanwhile. Look at what they said, then say it again.");
    }
    await this.#take(answer, "It could not be stored; check that the server runs and try again.");
  }

  async #take(answer, otherwise) {
    const content = await answer.json().catch(() => null);
    if (!answer.ok || !content) throw new Error(content?.detail ?? otherwise);
    this.version = answer.headers.get("ETag");
    this.entries = content.entries;
    this.standing = content.standing;
    this.dispatchEvent(new Event("change"));
  }
}
