// One configuration marked in every figure that has it: a trace that has several says in `meta.ids` whose its points
// are, `meta.each` of them in a row. A click on a point chooses its configuration, a second one lets go of it.

import { pointsOf } from "./narrowing.js";

const INK = "#1d2329";

/** The trace's points of one configuration once more, ringed, or as one strong line. */
function ring(trace, id) {
  const { x, y, meta } = pointsOf(trace, (one) => one === id);
  if (!x.length) return [];
  const look =
    meta.each > 1
      ? { mode: "lines", line: { color: INK, width: 3.4 } }
      : { mode: "markers", marker: { symbol: "circle-open", size: 17, color: INK, line: { width: 2.6, color: INK } } };
  const axes = trace.xaxis ? { xaxis: trace.xaxis, yaxis: trace.yaxis } : {};
  return [{ type: "scatter", x, y, ...look, ...axes, hoverinfo: "skip", showlegend: false }];
}

/** A figure with this configuration marked in it; "" for none. */
export function marked(spec, id) {
  if (!id) return spec;
  const rings = spec.data.filter(({ meta }) => meta?.ids).flatMap((trace) => ring(trace, id));
  return { ...spec, data: [...spec.data, ...rings] };
}

/** Choose by clicks on a drawn chart. */
export function chooseByClick(chart) {
  chart.removeAllListeners("plotly_click");
  chart.on("plotly_click", ({ points: [{ data, pointNumber }] }) => {
    const { ids, each = 1 } = data.meta ?? {};
    const select = document.querySelector(`select[data-sets="${chart.dataset.marks}"]`);
    const id = ids?.[Math.floor(pointNumber / each)];
    if (!id || !select) return;
    select.value = select.value === id ? "" : id;
    select.dispatchEvent(new Event("change"));
  });
}
