// Printing: light colours, one column, folded figures opened, every figure drawn.

import { drawAll, redraw } from "./charts.js";
import { forPaper } from "./theme.js";

export function drawForPaper() {
  let folded = [];
  addEventListener("beforeprint", () => {
    forPaper(true);
    folded = [...document.querySelectorAll("details.fold:not([open])")];
    for (const details of folded) details.open = true;
    drawAll();
  });
  addEventListener("afterprint", () => {
    forPaper(false);
    for (const details of folded) details.open = false;
    redraw();
  });
}
