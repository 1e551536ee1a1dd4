// Everything brought together: the controls, and what happens when one of them, the theme or the window changes.

import { keep, keepOnLinks, restore } from "./address.js";
import { brush } from "./brush.js";
import { drawAll, redraw, retheme, stop, watch } from "./charts.js";
import { holds, set } from "./choices.js";
import { saveOnClick } from "./download.js";
import { fadeEdges, fadeOnScroll } from "./edges.js";
import { drawForPaper } from "./paper.js";
import { showPicked } from "./picked.js";
import { pickOnClick } from "./picking.js";
import { seat } from "./seats.js";
import { fillWhenOpened } from "./table.js";
import { onTheme } from "./theme.js";

const RESIZED_MS = 150;

function hideOthers() {
  for (const block of document.querySelectorAll("[data-when]")) block.hidden = !holds(block);
  seat();
}

function show() {
  showPicked();
  redraw().then(fadeEdges);
}

restore();
for (const select of document.querySelectorAll("select[data-sets]")) {
  set(select.dataset.sets, select.value);
  select.addEventListener("change", () => {
    set(select.dataset.sets, select.value);
    hideOthers();
    keep(select.closest("section")?.id);
    show();
  });
}

document.addEventListener("narrowed", ({ target }) => {
  keep(target.closest("section")?.id);
  show();
});

let resized = 0;
addEventListener("resize", () => {
  clearTimeout(resized);
  resized = setTimeout(show, RESIZED_MS);
});

onTheme(retheme);
keepOnLinks();
fillWhenOpened();
saveOnClick();
brush();
pickOnClick();
fadeOnScroll();
drawForPaper();
hideOthers();
watch();
show();
window.orchPage = { drawAll, stop };
