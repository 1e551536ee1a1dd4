// A chart saved as SVG, PNG or CSV; figures in the light colours, with what they show in a title.

import { variant } from "./choices.js";
import { contrasted } from "./figure.js";
import { rowsOf } from "./table.js";

const TITLE_PX = 40;

function saveCsv(chart, chosen) {
  const quoted = (value) => (value === null ? "" : `"${String(value).replaceAll('"', '""')}"`);
  const lines = rowsOf(chosen).map((row) => row.map(quoted).join(","));
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([`${lines.join("\r\n")}\r\n`], { type: "text/csv" }));
  link.download = `${chart.dataset.name}.csv`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

function titleOf(chart) {
  const names = chart.dataset.control.split(" ");
  const controls = names.map((name) => document.querySelector(`select[data-sets="${name}"]`)).filter(Boolean);
  const choices = controls.map(({ selectedOptions: [option] }) => option.textContent.toLowerCase());
  return [chart.dataset.title, ...choices].join(", ");
}

function saveImage(chart, { spec: { data, layout } }, format) {
  const text = titleOf(chart);
  const title = { text, x: 0.01, y: 1, yanchor: "top", pad: { t: 14 }, font: { size: 12 } };
  const margin = { ...layout.margin, t: layout.margin.t + TITLE_PX };
  Plotly.downloadImage(
    { data: contrasted(data), layout: { ...layout, margin, title } },
    {
      format,
      filename: chart.dataset.name,
      width: chart.clientWidth,
      height: layout.height + TITLE_PX,
      scale: format === "png" ? 3 : 1,
    },
  );
}

export function saveOnClick() {
  document.addEventListener("click", async ({ target }) => {
    const { save, of } = target.closest("button")?.dataset ?? {};
    if (!save) return;
    const chart = document.getElementById(of);
    const chosen = await variant(chart);
    if (save === "csv") saveCsv(chart, chosen);
    else saveImage(chart, chosen, save);
  });
}
