"""The page's script: draws charts when they come into view, answers the controls, exchanges colours for dark ones.

Choices nearby are answered by pictures drawn beforehand: `picture_script`.
"""

from __future__ import annotations

from dashboards.page.at_once_script import AT_ONCE
from dashboards.page.payload_script import PAYLOADS
from dashboards.page.picture_script import PICTURES

SCRIPT = (
    r"""
"use strict";
(() => {
const DARK = JSON.parse(document.getElementById("dark-colours").textContent);
const root = document.documentElement;
const state = {};
const loaded = new Map();
const byId = id => document.getElementById(id);
const charts = [...document.querySelectorAll(".chart")];
const wish = matchMedia("(prefers-color-scheme: dark)");
let printing = false;
const isDark = () => !printing && (root.dataset.theme ? root.dataset.theme === "dark" : wish.matches);
const visible = node => node.offsetParent !== null;

"""
    + PAYLOADS
    + r"""
const library = byId("library") && inflated(byId("library")).then(buffer => {
  const script = document.createElement("script");
  script.textContent = new TextDecoder().decode(buffer);
  document.head.append(script);
});
function coloured(value, dark) {
  if (typeof value === "string") return dark && DARK[value] || value;
  if (Array.isArray(value)) return value.map(item => coloured(item, dark));
  if (value && typeof value === "object")
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, coloured(item, dark)]));
  return value;
}
function spanColours(layout, dark) {
  if (!dark) return layout;
  const text = JSON.stringify(layout);
  return JSON.parse(text.replace(/color:(#[0-9a-f]{6})/g, (all, c) => "color:" + (DARK[c] || c)));
}
function mixed(value, {zmin, zmax, colorscale}) {  // red, green and blue, 0 to 255
  const at = Math.min(1, Math.max(0, (value - zmin) / (zmax - zmin))) * (colorscale.length - 1);
  const low = Math.min(Math.floor(at), colorscale.length - 2);
  const channels = ([, colour]) => [1, 3, 5].map(place => parseInt(colour.slice(place, place + 2), 16));
  const [from, to] = [low, low + 1].map(place => channels(colorscale[place]));
  return from.map((c, place) => c + (to[place] - c) * (at - low));
}
function contrast(data) {
  const words = data.find(trace => trace.meta === "on heat map");
  if (!words) return;
  const linear = c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  words.textfont.color = data[0].z.flat().map(value => {
    const [r, g, b] = mixed(value, data[0]).map(c => linear(c / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179 ? "#000000" : "#ffffff";
  });
}
const rgb = hex => "rgb(" + [1, 3, 5].map(place => parseInt(hex.slice(place, place + 2), 16)).join(", ") + ")";
const pairs = Object.entries(DARK).filter(([light]) => light[0] === "#").map(pair => pair.map(rgb));
const EXCHANGED = {dark: new Map(pairs), light: new Map(pairs.map(([light, dark]) => [dark, light]))};
function recolour(chart) {
  const exchanged = EXCHANGED[isDark() ? "dark" : "light"];
  chart.parentElement.querySelectorAll("[style*=rgb]").forEach(node => {
    const style = node.getAttribute("style");
    node.setAttribute("style", style.replace(/rgb\([^)]*\)/g, colour => exchanged.get(colour) || colour));
  });
  delete chart.dataset.drawn;  // as in no theme: it is drawn anew whichever comes next
}
function height({layout}, width) {
  const rows = Object.keys(layout).some(name => /^yaxis/.test(name) && layout[name].ticktext);
  const column = document.querySelector("main").clientWidth;
  const wide = rows || printing || width < 700 ? 1 : column / 1180;
  return Math.round(layout.height * Math.min(1.4, Math.max(1, wide)));
}
const cut = box => box.scrollLeft + box.clientWidth < box.scrollWidth - 2;
function edges() {
  const boxes = [...document.querySelectorAll(".scroll")].map(box => [box, cut(box)]);
  boxes.forEach(([box, more]) => box.classList.toggle("more", more));
}
const wantedOf = (chart, choices = state, width = chart.clientWidth) =>
  [chart.dataset.payload, choiceOf(chart, choices), isDark(), width].join();
const ruler = document.createElement("canvas").getContext("2d");
function makeRoom(layout) {  // for names of rows: plotly would draw everything a second time to find it
  const {yaxis: axis, yaxis2: another, margin, font} = layout;
  if (!axis?.ticktext || another || axis.title.text) return;
  ruler.font = axis.tickfont.size + "px " + font.family;
  const plain = name => name.replace(/<[^>]*>/g, "").replace(/&lt;/g, "<").replace(/&gt;/g, ">").replace(/&amp;/g, "&");
  const widths = axis.ticktext.flatMap(name => name.split("<br>")).map(line => ruler.measureText(plain(line)).width);
  margin.l = Math.max(margin.l, Math.ceil(Math.max(...widths)) + 15);
  axis.automargin = false;
}
function figure(chosen, width, tall) {
  const spec = coloured(chosen.spec, isDark());
  contrast(spec.data);
  makeRoom(spec.layout);
  if (width < 480 && spec.layout.xaxis?.tickangle === 0) spec.layout.xaxis.nticks = 4;
  return [spec.data, {...spanColours(spec.layout, isDark()), width, height: tall},
    {displayModeBar: false, responsive: false, doubleClick: "reset"}];
}
function announce(chart, label, tall) {
  chart.setAttribute("aria-label", label);
  chart.style.height = tall + "px";
  const details = document.querySelector('details[data-chart="' + chart.id + '"]');
  if (details.open) fill(details); else delete details.dataset.filled;
}
const axesOf = ({_fullLayout: drawn = {}}) =>
  Object.entries(drawn).filter(([name]) => /^[xy]axis\d*$/.test(name));
function enlarged(chart) {
  if (chart.dataset.choice !== choiceOf(chart)) return [];
  return axesOf(chart).filter(([, {range, _rangeInitial0: low, _rangeInitial1: high}]) =>
    range[0] !== low || range[1] !== high).map(([name, {range}]) => [name + ".range", [...range]]);
}
async function plot(chart, data, layout, config) {
  const ranges = enlarged(chart);
  chart.dataset.choice = choiceOf(chart);
  const plotted = chart.dataset.plotted = 1 + Number(chart.dataset.plotted || 0);
  // plotly's own memory keeps what was hidden by its legend; of ranges it would keep those of other data
  const own = ([name, value]) => [name, /^[xy]axis/.test(name) ? {...value, uirevision: plotted} : value];
  await Plotly.react(chart, data, Object.fromEntries(Object.entries(layout).map(own)), config);
  axesOf(chart).forEach(([, axis]) => { [axis._rangeInitial0, axis._rangeInitial1] = axis.range; });
  if (ranges.length) await Plotly.relayout(chart, Object.fromEntries(ranges));
}
const takeDown = chart => chart.parentElement.querySelector(".picture")?.remove();
async function draw(chart) {
  const wanted = wantedOf(chart);
  if (chart.dataset.drawn === wanted) { takeDown(chart); return; }
  delete chart.dataset.settled;
  await library;
  const chosen = await variant(chart);
  if (chart.dataset.drawn === wanted) return;
  chart.dataset.drawn = wanted;
  const tall = height(chosen.spec, chart.clientWidth);
  announce(chart, chosen.label, tall);
  await plot(chart, ...figure(chosen, chart.clientWidth, tall));
  if (wantedOf(chart) !== wanted) return;
  takeDown(chart);
  chart.dataset.settled = "yes";
}
const near = new Set();
let watched = false;
const watcher = new IntersectionObserver(entries => {
  entries.forEach(entry => {
    if (entry.isIntersecting) { near.add(entry.target); answer(entry.target); } else near.delete(entry.target);
  });
  if (root.dataset.ready && watched) settle(1000);
  watched = true;
}, {rootMargin: "300px"});
charts.forEach(chart => watcher.observe(chart));
const drawAll = () => Promise.all(charts.filter(visible).map(draw));
function aside(chart) {
  const {top, bottom} = chart.getBoundingClientRect(), middle = innerHeight / 2;
  return Math.max(0, top - middle, middle - bottom);
}
const nearest = () => [...near].filter(visible).map(chart => [aside(chart), chart])
  .sort(([a], [b]) => a - b).map(([, chart]) => chart);
async function redraw() {
  const all = nearest(), seen = all.filter(chart => aside(chart) < innerHeight / 2);
  await Promise.all(seen.map(answer));
  await new Promise(done => setTimeout(done, 20));  // what is seen is painted before what lies beside it is drawn
  await Promise.all(all.filter(chart => !seen.includes(chart)).map(answer));
}

// on a busy machine no moment may be idle enough for the browser: then after half a second
const idle = call => window.requestIdleCallback ? requestIdleCallback(call, {timeout: 500}) : setTimeout(call, 300);
let turn = 0;
function settle(rest_ms) {
  const mine = ++turn, folds = chart => { const fold = chart.closest("details.fold"); return fold && visible(fold); };
  const rest = [...new Set([...nearest(), ...charts.filter(chart => visible(chart) || folds(chart))])];
  const next = () => {
    if (mine !== turn) return;
    const chart = rest.shift();
    if (chart) (visible(chart) ? draw(chart) : payload(chart)).then(() => idle(next));
    else { root.dataset.ready = "yes"; sketchAll(mine); }
  };
  setTimeout(() => idle(next), rest_ms);
}
"""
    + AT_ONCE
    + PICTURES
    + r"""
function themed() {
  root.classList.add("exchanging");  // first what is in view
  setTimeout(() => root.classList.remove("exchanging"), 100);
  pictures.clear();
  [...near].filter(visible).forEach(chart => chart.querySelector("image") ? draw(chart) : recolour(chart));
  settle(1000);
}
function show(rest_ms) {
  document.querySelectorAll("[data-when]").forEach(node => {
    node.hidden = !holds(node, state);
  });
  redraw().then(() => idle(edges));
  settle(rest_ms);
}
document.querySelectorAll("select[data-sets]").forEach(select => {
  state[select.dataset.sets] = select.value;
  select.addEventListener("change", () => { state[select.dataset.sets] = select.value; show(1000); });
});

function rowsOf(chosen) {
  const {columns, values} = chosen;
  return [columns, ...(chosen.rows ? chosen.rows() : (values[0] || []).map((_, row) => values.map(of => of[row])))];
}
function shownIn(value) {
  if (value === null) return "–";
  return typeof value === "number" && !Number.isInteger(value) ? String(+value.toPrecision(5)) : value;
}
const MOST_ROWS = 2000;
async function fill(details) {
  const chosen = await variant(byId(details.dataset.chart));
  const table = document.createElement("table");
  const rows = rowsOf(chosen), head = table.createTHead().insertRow(), body = table.createTBody();
  rows[0].forEach(name => {
    const cell = document.createElement("th");
    cell.scope = "col";
    cell.textContent = name;
    head.append(cell);
  });
  rows.slice(1, MOST_ROWS + 1).forEach(row => {
    const line = body.insertRow();
    row.forEach(value => { line.insertCell().textContent = shownIn(value); });
  });
  if (rows.length > MOST_ROWS + 1)
    table.createCaption().textContent = "The first " + MOST_ROWS + " of " + (rows.length - 1) + " rows; CSV has all.";
  const box = document.createElement("div");
  box.className = "scroll";
  box.tabIndex = 0;
  box.setAttribute("role", "region");
  box.setAttribute("aria-label", "Data: " + chosen.label);
  box.append(table);
  details.querySelector(".scroll")?.remove();
  details.append(box);
  details.dataset.filled = "yes";
}
document.querySelectorAll("details.data").forEach(details =>
  details.addEventListener("toggle", () => { if (details.open && !details.dataset.filled) fill(details); }));

function download(name, type, content) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([content], {type}));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}
document.addEventListener("click", async event => {
  const button = event.target.closest("button");
  if (!button) return;
  if (button.id === "theme") {
    root.dataset.theme = isDark() ? "light" : "dark";
    try { localStorage.setItem("orch-theme", root.dataset.theme); }
    catch (error) { /* a page from disk may not keep it */ }
    themed();
  } else if (button.dataset.save === "csv") {
    const chart = byId(button.dataset.of);
    const quote = value => value === null ? "" : '"' + String(value).replaceAll('"', '""') + '"';
    const lines = rowsOf(await variant(chart)).map(row => row.map(quote).join(","));
    download(chart.dataset.name + ".csv", "text/csv", lines.join("\r\n") + "\r\n");
  } else if (button.dataset.save) {
    const chart = byId(button.dataset.of);
    const {spec} = await variant(chart);
    const control = name => document.querySelector('select[data-sets="' + name + '"]');
    const chosen = chart.dataset.control.split(" ").map(control);
    const shown = [chart.dataset.title, ...chosen.filter(Boolean).map(({selectedOptions}) =>
      selectedOptions[0].textContent.toLowerCase())].join(", ");
    const margin = {...spec.layout.margin, t: spec.layout.margin.t + 40};
    contrast(spec.data);
    const title = {text: shown, x: 0.01, y: 1, yanchor: "top", pad: {t: 14}, font: {size: 12}};
    Plotly.downloadImage({data: spec.data, layout: {...spec.layout, margin, title}}, {format: button.dataset.save,
      filename: chart.dataset.name, width: chart.clientWidth, height: spec.layout.height + 40,
      scale: button.dataset.save === "png" ? 3 : 1});
  }
});

let pressed = null;
const pick = chart => document.querySelector('select[data-sets="' + chart.dataset.picks + '"]');
document.addEventListener("pointerdown", event => {
  pressed = {x: event.clientX, y: event.clientY, chart: event.target.closest?.(".chart[data-picks]")};
}, true);
document.addEventListener("pointerup", async event => {
  if (!pressed?.chart || Math.hypot(event.clientX - pressed.x, event.clientY - pressed.y) > 5) return;
  const {chart} = pressed, {left, top} = chart.getBoundingClientRect(), {spec} = await variant(chart);
  const axes = axesIn(spec.layout, chart.clientWidth, chart.clientHeight);
  const inside = (axis, at) => at >= axes.get(axis).start && at <= axes.get(axis).end;
  const hit = spec.data.find(({meta, xaxis, yaxis}) =>
    meta && inside(xaxis, event.clientX - left) && inside(yaxis, event.clientY - top));
  if (!hit) return;
  const select = pick(chart), name = "lr " + hit.meta.point[0] + ", batch " + hit.meta.point[1];
  select.value = [...select.options].find(option => option.textContent === name)?.value || "";
  select.dispatchEvent(new Event("change"));
}, true);

let waiting = 0;
const fit = () => redraw().then(() => idle(edges));
addEventListener("resize", () => { clearTimeout(waiting); waiting = setTimeout(fit, 150); });
document.addEventListener("scroll", ({target}) => target.classList?.contains("scroll") &&
  target.classList.toggle("more", cut(target)), {capture: true, passive: true});
document.addEventListener("toggle", edges, true);
wish.addEventListener("change", themed);
let folded = [];
const print = on => {
  printing = on;
  root.classList.toggle("printing", on);
  if (on) folded = [...document.querySelectorAll("details.fold:not([open])")];
  folded.forEach(details => { details.open = on; });
  return on ? drawAll() : redraw();
};
addEventListener("beforeprint", () => print(true));
addEventListener("afterprint", () => print(false));
try {
  const kept = localStorage.getItem("orch-theme");
  if (kept === "dark" || kept === "light") root.dataset.theme = kept;
} catch (error) { /* a page from disk may not remember */ }
show(0);
window.orchPage = {drawAll};
})();
"""
)
