/** What every page wants: times in the reader's own zone, and a menu that Escape closes. */
import { localTimes } from "./times.js";

localTimes();

const menu = document.querySelector(".masthead-menu");
menu?.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || !menu.open) return;
  event.stopPropagation();
  menu.open = false;
  menu.querySelector("summary").focus();
});
