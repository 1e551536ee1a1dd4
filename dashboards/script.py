"""The page's script: draws charts when they come into view, answers the controls, exchanges colours for dark ones.

Choices nearby are answered by pictures drawn beforehand: `picture_script`.
"""

from __future__ import annotations

from dashboards.picture_script import PICTURES

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

function numbersOf({n, decimals, width, others}, planes) {
  const used = planes.map(() => 0);
  return n.map((count, row) => {
    const numbers = new Array(count), scale = 10 ** decimals[row], bytes = planes.slice(0, width[row]);
    for (let i = 0, whole = 0; i < count; i++) {
      let signed = 0;
      for (let place = 0; place < bytes.length; place++) signed |= bytes[place][used[place] + i] << 8 * place;
      whole += (signed >>> 1) ^ -(signed & 1);
      numbers[i] = whole / scale;
    }
    bytes.forEach((_, place) => { used[place] += count; });
    (others[row] || []).forEach(([at, other]) => { numbers[at] = other; });
    return numbers;
  });
}
function unpacked(value, rows) {
  if (Array.isArray(value)) return value.map(item => unpacked(item, rows));
  if (!value || typeof value !== "object") return value;
  if ("$" in value) return rows[value.$];
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, unpacked(item, rows)]));
}
async function inflated(node) {
  const text = node.textContent, bytes = new DataView(new ArrayBuffer((text.length - 1) / 5 * 4));
  for (let at = 1, to = 0; at < text.length; to += 4) {
    let word = 0;
    for (const last = at + 5; at < last; at++) {
      const letter = text.charCodeAt(at);
      word = word * 85 + (letter === 120 ? 60 : letter) - 35;
    }
    bytes.setUint32(to, word);
  }
  const packed = new Uint8Array(bytes.buffer, 0, bytes.byteLength - Number(text[0]));
  return new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
}
async function opened(chart) {
  const buffer = await inflated(byId(chart.dataset.payload)), lengths = new DataView(buffer);
  let at = 20;
  const [json, ...planes] = [0, 1, 2, 3, 4].map(place => {
    const length = lengths.getUint32(4 * place, true);
    at += length;
    return new Uint8Array(buffer, at - length, length);
  });
  const [value, rows] = JSON.parse(new TextDecoder().decode(json)), all = unpacked(value, numbersOf(rows, planes));
  if (!chart.dataset.singles) Object.values(all).filter(chosen => !chosen.values).forEach(expand);
  return all;
}
function payload(chart) {
  const id = chart.dataset.payload;
  if (!loaded.has(id)) loaded.set(id, opened(chart));
  return loaded.get(id);
}
const library = byId("library") && inflated(byId("library")).then(buffer => {
  const script = document.createElement("script");
  script.textContent = new TextDecoder().decode(buffer);
  document.head.append(script);
});
function merged(common, own) {
  const plain = value => value && typeof value === "object" && !Array.isArray(value);
  return Object.fromEntries([...new Set([...Object.keys(common), ...Object.keys(own)])].map(key => [key,
    plain(common[key]) && plain(own[key]) ? merged(common[key], own[key]) : key in own ? own[key] : common[key]]));
}
function unfolded({data, layout, alike, axes}) {
  return {data: data.map(({like, ...own}) => merged(alike[like], own)), layout: Object.fromEntries(
    Object.entries(layout).map(([key, own]) => [key, /^[xy]axis/.test(key) ? merged(axes[key[0]], own) : own]))};
}
function expand(chosen) {
  chosen.spec = unfolded(chosen.spec);
  const lines = chosen.spec.data.filter(trace => trace.meta);
  const known = ({customdata}) => { const end = customdata.indexOf(null); return end < 0 ? customdata.length : end; };
  const shown = (value, epoch) => epoch + "," + value.toPrecision(6);
  chosen.spec.layout.shapes = lines.filter(known).map(line => {
    const {customdata, meta, xaxis, yaxis} = line, means = line.y.slice(0, known(line));
    const above = means.map((mean, epoch) => shown(mean + customdata[epoch], epoch));
    const below = means.map((mean, epoch) => shown(mean - customdata[epoch], epoch));
    return {type: "path", layer: "below", path: "M" + [...above, ...below.reverse()].join("L") + "Z",
      fillcolor: meta.band, line: {width: 0}, xref: xaxis, yref: yaxis};
  });
  chosen.rows = () => lines.filter(({meta}) => meta.split === "train").flatMap(train => {
    const valid = lines.find(({xaxis, yaxis, meta}) => meta.split === "valid" &&
      xaxis === train.xaxis && yaxis === train.yaxis);
    const n = epoch => valid.meta.n.findLast(([first]) => first <= epoch)[1];
    return train.y.map((mean, epoch) => [...train.meta.point, train.meta.score, epoch, mean, train.customdata[epoch],
      valid.y[epoch], valid.customdata[epoch], n(epoch)]);
  });
}
function singles({template, columns, panels, loss, hits}, number) {
  const {name, repeats, selected, lengths, images} = panels[number];
  const sum = numbers => numbers.reduce((total, length) => total + length, 0);
  const first = sum(panels.slice(0, number).map(before => sum(before.lengths)));
  const starts = lengths.map((_, place) => first + sum(lengths.slice(0, place)));
  const accuracy = hits.map((counts, split) => counts.map(count => images[split] ? count / images[split] : null));
  const every = of => repeats.flatMap((repeat, place) =>
    Array.from({length: lengths[place]}, (_, epoch) => of(repeat, epoch, starts[place] + epoch, place)));
  const broken = of => repeats.flatMap((repeat, place) => [...(place ? [null] : []),
    ...Array.from({length: lengths[place]}, (_, epoch) => of(repeat, epoch, starts[place] + epoch))]);
  const x = broken((_, epoch) => epoch), text = broken(repeat => repeat);
  const data = [loss, accuracy].flatMap((score, side) => {
    const [train, valid, dots] = template.data.slice(3 * side, 3 * side + 3);
    const along = (trace, split) => ({...trace, x, text, y: broken((_, __, at) => score[split][at])});
    return [along(train, 0), along(valid, 1), {...dots, x: selected, text: repeats,
      y: selected.map((epoch, place) => score[1][starts[place] + epoch])}];
  });
  const label = "Loss and accuracy by epoch of " + repeats.length + " single repeats, " + name + ".";
  return {spec: {data, layout: template.layout}, label, columns,
    rows: () => every((repeat, epoch, at, place) => [repeat, epoch, epoch === selected[place],
      loss[0][at], loss[1][at], accuracy[0][at], accuracy[1][at]])};
}
const choiceOf = (chart, choices = state) => chart.dataset.control.split(" ").map(name => choices[name]).join("|");
async function variant(chart, choices = state) {
  const all = await payload(chart);
  const key = choiceOf(chart, choices);
  if (chart.dataset.singles) return singles(all, Number(key) || 0);
  return all[key] || all[Object.keys(all)[0]];
}
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
function contrast(data) {
  const words = data.find(trace => trace.meta === "on heat map");
  if (!words) return;
  const {z, zmin, zmax, colorscale} = data[0];
  const channels = colour => [1, 3, 5].map(place => parseInt(colour.slice(place, place + 2), 16) / 255);
  const linear = c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  words.textfont.color = z.flat().map(value => {
    const at = Math.min(1, Math.max(0, (value - zmin) / (zmax - zmin))) * (colorscale.length - 1);
    const low = Math.min(Math.floor(at), colorscale.length - 2);
    const [from, to] = [channels(colorscale[low][1]), channels(colorscale[low + 1][1])];
    const [r, g, b] = from.map((c, place) => linear(c + (to[place] - c) * (at - low)));
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
function figure(chosen, width, tall) {
  const spec = coloured(chosen.spec, isDark());
  contrast(spec.data);
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
  takeDown(chart);
  chart.dataset.settled = "yes";
}
const near = new Set();
const watcher = new IntersectionObserver(entries => {
  entries.forEach(entry => {
    if (entry.isIntersecting) { near.add(entry.target); answer(entry.target); } else near.delete(entry.target);
  });
  if (root.dataset.ready) settle(1000);
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
  const rest = charts.filter(chart => visible(chart) || folds(chart));
  const next = () => {
    if (mine !== turn) return;
    const chart = rest.shift();
    if (chart) (visible(chart) ? draw(chart) : payload(chart)).then(() => idle(next));
    else { root.dataset.ready = "yes"; sketchAll(mine); }
  };
  setTimeout(() => idle(next), rest_ms);
}
"""
    + PICTURES
    + r"""
function themed() {
  root.classList.add("exchanging");  // first what is in view
  setTimeout(() => root.classList.remove("exchanging"), 100);
  pictures.clear();
  [...near].filter(visible).forEach(chart => chart.querySelector("image") ? draw(chart) : recolour(chart));
  settle(1000);
}
function show() {
  document.querySelectorAll("[data-when]").forEach(node => {
    node.hidden = !holds(node, state);
  });
  redraw().then(() => idle(edges));
  settle(root.dataset.ready ? 1000 : 0);
}
document.querySelectorAll("select[data-sets]").forEach(select => {
  state[select.dataset.sets] = select.value;
  select.addEventListener("change", () => { state[select.dataset.sets] = select.value; show(); });
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
  if (!pressed?.chart?._fullLayout || Math.hypot(event.clientX - pressed.x, event.clientY - pressed.y) > 5) return;
  const {chart} = pressed;
  const box = chart.getBoundingClientRect(), {_size: size} = chart._fullLayout;
  const x = (event.clientX - box.left - size.l) / size.w, y = 1 - (event.clientY - box.top - size.t) / size.h;
  const inside = (axis, at) => axis && at >= axis.domain[0] && at <= axis.domain[1];
  const hit = (await variant(chart)).spec.data.find(({meta, xaxis, yaxis}) => meta &&
    inside(chart._fullLayout["xaxis" + xaxis.slice(1)], x) && inside(chart._fullLayout["yaxis" + yaxis.slice(1)], y));
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
show();
window.orchPage = {drawAll};
})();
"""
)
