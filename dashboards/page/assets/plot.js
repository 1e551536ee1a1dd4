// One figure in its place: drawn by plotly, with what the reader has enlarged or hidden kept.

import { choiceOf } from "./choices.js";
import { chooseByClick } from "./marks.js";

const CONFIG = { displayModeBar: false, responsive: false, doubleClick: "reset" };

const axesOf = ({ _fullLayout: drawn = {} }) => Object.entries(drawn).filter(([name]) => /^[xy]axis\d*$/.test(name));

/** Ranges of a chart that are not those of its figure, as plotly's relayout takes them. */
function enlarged(chart) {
  if (chart.dataset.choice !== choiceOf(chart)) return [];
  return axesOf(chart)
    .filter(([, { range, _rangeInitial0: low, _rangeInitial1: high }]) => range[0] !== low || range[1] !== high)
    .map(([name, { range }]) => [`${name}.range`, [...range]]);
}

export async function plot(chart, data, layout) {
  const ranges = enlarged(chart);
  chart.dataset.choice = choiceOf(chart);
  chart.dataset.plotted = 1 + Number(chart.dataset.plotted || 0);
  // plotly's own memory keeps what was hidden by its legend; of ranges it would keep those of other data
  const uirevision = chart.dataset.plotted;
  const forgetful = ([name, value]) => [name, /^[xy]axis/.test(name) ? { ...value, uirevision } : value];
  await Plotly.react(chart, data, Object.fromEntries(Object.entries(layout).map(forgetful)), CONFIG);
  for (const [, axis] of axesOf(chart)) [axis._rangeInitial0, axis._rangeInitial1] = axis.range;
  if (chart.dataset.marks) chooseByClick(chart);
  if (ranges.length) await Plotly.relayout(chart, Object.fromEntries(ranges));
}
