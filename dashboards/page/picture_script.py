"""What the page's script answers a choice with: a picture at once, and the figure itself when the page is idle.

Pictures of what choices nearby would show are drawn by plotly while the page is idle, but not while the reader moves:
who reaches for a control shall not wait for it. Those of grids of curves and of heat maps are drawn when wanted.
"""

from __future__ import annotations

PICTURES = r"""
const MOST_PICTURES = 80, pictures = new Map();
function pictured(chosen, tall, ...layers) {
  const picture = document.createElement("div");
  picture.className = "picture";
  picture.setAttribute("aria-hidden", "true");
  picture.style.height = tall + "px";
  picture.dataset.label = chosen.label;
  picture.append(...layers);
  return picture;
}
async function answer(chart) {
  const wanted = wantedOf(chart);
  if (chart.dataset.drawn === wanted || enlarged(chart).length) return draw(chart);
  let picture = pictures.get(wanted);
  const quick = atOnce(chart);
  if (!picture && quick && chart.dataset.choice !== choiceOf(chart)) {
    const chosen = await variant(chart), tall = height(chosen.spec, chart.clientWidth);
    if (chart.dataset.drawn === wanted || wantedOf(chart) !== wanted) return;
    picture = pictured(chosen, tall, quick(chosen, chart.clientWidth, tall));
  }
  if (!picture) return draw(chart);
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
function beside() {
  const shown = new Map();
  for (const chart of nearest().filter(chart => !chart.dataset.singles).reverse())
    shown.set(kind(chart), {away: aside(chart), width: chart.clientWidth});
  const alike = charts.filter(chart => shown.has(kind(chart)));
  const selects = [...document.querySelectorAll("select[data-sets]")].filter(visible);
  const steps = option => Math.abs(option.index - option.closest("select").selectedIndex);
  const found = selects.flatMap(select => [...select.options]).filter(steps).flatMap(option => {
    const select = option.closest("select"), choices = {...state, [select.dataset.sets]: option.value};
    const isFar = steps(option) > 1 && !select.closest("section");
    return alike.filter(chart => stands(chart, choices)).map(chart => {
      const {away, width} = shown.get(kind(chart));
      return {chart, choices, width: visible(chart) ? chart.clientWidth : width, isFar, away, steps: steps(option)};
    });
  });
  return found.filter(({chart, choices, width, isFar, away}) =>
    chart.dataset.drawn !== wantedOf(chart, choices, width) && !(isFar && away > innerHeight / 2))
    .sort((a, b) => a.isFar - b.isFar || a.away - b.away || a.steps - b.steps).slice(0, MOST_PICTURES);
}
function keep(wanted, picture) {
  pictures.delete(wanted);
  pictures.set(wanted, picture);
  if (pictures.size > MOST_PICTURES) pictures.delete(pictures.keys().next().value);
}
async function sketch({chart, choices, width}) {
  const wanted = wantedOf(chart, choices, width);
  if (!chart.isConnected) return true;
  if (pictures.has(wanted)) { keep(wanted, pictures.get(wanted)); return true; }
  const chosen = await variant(chart, choices), tall = height(chosen.spec, width);
  if (atOnce(chart)) return true;  // its data are at hand, the rest is quick
  const easel = document.createElement("div");
  easel.className = "easel";
  easel.setAttribute("aria-hidden", "true");
  document.body.append(easel);
  const [data, layout, config] = figure(chosen, width, tall);
  await Plotly.react(easel, data, layout, {...config, staticPlot: true});
  const drawn = [...easel.querySelectorAll(".main-svg")];
  easel.remove();
  if (!drawn.length) return false;
  keep(wanted, pictured(chosen, tall, ...drawn.map(layer => layer.cloneNode(true))));
  Plotly.purge(easel);
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
    if (rest_ms > 0) setTimeout(next, rest_ms); else if (await sketch(wanted.shift())) idle(next);
  };
  idle(next);
}
"""
