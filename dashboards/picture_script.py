"""What the page's script does beforehand: while the page is idle it draws what choices nearby would show.

Such a choice is answered by its picture at once, and the figure itself follows when the page is idle again. Nothing is
drawn while the reader moves: a grid of curves takes long, and who reaches for a control shall not wait for it.
"""

from __future__ import annotations

ZOOMED = r"""
function zoomed({_fullLayout: drawn = {}}) {
  return Object.keys(drawn).filter(name => /^[xy]axis\d*$/.test(name)).map(name => [name, drawn[name]])
    .filter(([, {range, _rangeInitial0: low, _rangeInitial1: high}]) =>
      low !== undefined && (range[0] !== low || range[1] !== high))
    .map(([name, {range}]) => [name + ".range", [...range]]);
}
"""
"""The axes of a drawn figure that somebody has moved, as [name, range]; the live script keeps them."""

PICTURES = (
    ZOOMED
    + r"""
const MOST_PICTURES = 80, pictures = new Map();
async function answer(chart) {
  const wanted = wantedOf(chart), picture = chart.dataset.drawn !== wanted && pictures.get(wanted);
  if (!picture || zoomed(chart).length) return draw(chart);
  takeDown(chart);
  chart.after(picture);
  announce(chart, picture.dataset.label, parseFloat(picture.style.height));
  chart.dataset.settled = "yes";
}
const holds = (node, choices) => node.dataset.when.split(" ").every(part => {
  const [name, value] = part.split("=");
  return value === "!" ? Boolean(choices[name]) : choices[name] === value;
});
function stands(chart, choices) {
  if (chart.closest("details.fold:not([open])")) return false;
  for (let node = chart.closest("[data-when]"); node; node = node.parentElement.closest("[data-when]"))
    if (!holds(node, choices)) return false;
  return true;
}
const kind = chart => chart.closest("section")?.id + chart.dataset.control + chart.style.minWidth;
const SLOW_MS = 200, slow = new Set();
function beside() {
  const shown = [...near].filter(chart => visible(chart) && !chart.dataset.singles);
  const widths = new Map(shown.map(chart => [kind(chart), chart.clientWidth]));
  const alike = charts.filter(chart => widths.has(kind(chart)));
  const selects = [...document.querySelectorAll("select[data-sets]")].filter(visible);
  const away = option => Math.abs(option.index - option.closest("select").selectedIndex);
  const isFar = option => away(option) > 1 && !option.closest("section");
  const options = selects.flatMap(select => [...select.options]).filter(away)
    .sort((a, b) => isFar(a) - isFar(b) || away(a) - away(b));
  return options.flatMap(option => {
    const choices = {...state, [option.closest("select").dataset.sets]: option.value};
    return alike.filter(chart => stands(chart, choices)).map(chart =>
      [chart, choices, visible(chart) ? chart.clientWidth : widths.get(kind(chart)), isFar(option)]);
  }).filter(([chart, choices, width]) => chart.dataset.drawn !== wantedOf(chart, choices, width))
    .slice(0, MOST_PICTURES);
}
async function sketch(chart, choices, width, isFar) {
  const wanted = wantedOf(chart, choices, width);
  if (pictures.has(wanted) || !chart.isConnected || isFar && slow.has(kind(chart))) return true;
  const chosen = await variant(chart, choices), tall = height(chosen.spec, width);
  const easel = document.createElement("div"), picture = document.createElement("div");
  easel.className = "easel";
  easel.setAttribute("aria-hidden", "true");
  document.body.append(easel);
  const began = performance.now();
  await Plotly.react(easel, ...figure(chosen, width, tall));
  if (performance.now() - began > SLOW_MS) slow.add(kind(chart));
  const drawn = [...easel.querySelectorAll(".main-svg")];
  easel.remove();
  if (!drawn.length) return false;
  picture.className = "picture";
  picture.setAttribute("aria-hidden", "true");
  picture.style.height = tall + "px";
  picture.dataset.label = chosen.label;
  picture.append(...drawn.map(layer => layer.cloneNode(true)));
  Plotly.purge(easel);
  pictures.set(wanted, picture);
  if (pictures.size > MOST_PICTURES) pictures.delete(pictures.keys().next().value);
  return true;
}
let touched = performance.now();
["pointermove", "pointerdown", "keydown", "wheel"].forEach(type =>
  document.addEventListener(type, ({timeStamp}) => { touched = timeStamp; }, {capture: true, passive: true}));
function sketchAll(mine) {
  const wanted = beside();
  const next = async () => {
    if (mine !== turn || printing || !wanted.length) return;
    const rest_ms = touched + (root.dataset.revision ? 10000 : 2000) - performance.now();  // a live page changes often
    if (rest_ms > 0) setTimeout(next, rest_ms); else if (await sketch(...wanted.shift())) idle(next);
  };
  idle(next);
}
"""
)
