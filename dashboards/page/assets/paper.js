// Printing: light colours, one column, what is folded opened, every figure drawn.

import { drawAll, redraw } from "./charts.js";
import { forPaper } from "./theme.js";

export function drawForPaper() {
  let folded = [];
  addEventListener("beforeprint", () => {
    forPaper(true);
    folded = [...document.querySelectorAll("details:is(.fold, .how):not([open])")];
    for (const details of folded) details.open = true;
    drawAll();
  });
  addEventListener("afterprint", () => {
    forPaper(false);
    for (const details of folded) details.open = false;
    redraw();
  });
}
