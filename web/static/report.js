/** Says what is not saved, and asks before it is lost. */
const draft = document.getElementById("draft");
let isChanged = draft?.dataset.unsaved === "yes"; // what was refused, or drafted anew, came back in the form
let isLeaving = false;

draft?.addEventListener("input", (event) => {
  if (!event.target.matches("textarea")) return;
  isChanged = true;
  document.getElementById("unsaved").textContent = "Not saved yet";
});
draft?.addEventListener("submit", () => {
  isLeaving = true;
});
addEventListener("beforeunload", (event) => {
  if (isChanged && !isLeaving) event.preventDefault();
});
draft?.addEventListener("keydown", (event) => {
  if (!(event.ctrlKey || event.metaKey) || event.key !== "s") return;
  event.preventDefault();
  document.getElementById("save").click();
});
