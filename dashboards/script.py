"""The page's script: draws charts when they come into view, answers the controls, exchanges colours for dark ones."""

from __future__ import annotations

SCRIPT = r"""
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

async function payload(chart) {
  const id = chart.dataset.payload;
  if (!loaded.has(id)) {
    const bytes = Uint8Array.from(atob(byId(id).textContent), c => c.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    loaded.set(id, new Response(stream).text().then(text => {
      const all = JSON.parse(text);
      Object.values(all).filter(chosen => !chosen.rows).forEach(expand);
      return all;
    }));
  }
  return loaded.get(id);
}
function expand(chosen) {
  const lines = chosen.spec.data.filter(trace => trace.meta);
  const banded = lines.filter(({customdata}) => !customdata.includes(null));
  const bands = banded.map(({y, customdata, meta, xaxis, yaxis}) => {
    const x = y.map((_, epoch) => epoch);
    return {type: "scatter", mode: "lines", fill: "toself", fillcolor: meta.band, line: {width: 0, color: meta.band},
      x: [...x, ...x.slice().reverse()], hoverinfo: "skip", xaxis, yaxis,
      y: [...y.map((mean, epoch) => mean + customdata[epoch]),
        ...y.map((mean, epoch) => mean - customdata[epoch]).reverse()]};
  });
  chosen.spec.data = [...bands, ...chosen.spec.data];
  chosen.rows = lines.filter(({meta}) => meta.split === "train").flatMap(train => {
    const valid = lines.find(other => other.xaxis === train.xaxis && other.meta.split === "valid");
    return train.y.map((mean, epoch) => [...train.meta.point, epoch, mean, train.customdata[epoch], valid.y[epoch],
      valid.customdata[epoch], valid.meta.n]);
  });
}
async function variant(chart) {
  const all = await payload(chart);
  return all[state[chart.dataset.control]] || all[Object.keys(all)[0]];
}
function coloured(value, dark) {
  if (typeof value === "string") return dark && DARK[value] || value;
  if (Array.isArray(value)) return value.map(item => coloured(item, dark));
  if (value && typeof value === "object")
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, coloured(item, dark)]));
  return value;
}
function spanColours(layout, dark) {
  const text = JSON.stringify(layout);
  return dark ? JSON.parse(text.replace(/color:(#[0-9a-f]{6})/g, (all, c) => "color:" + (DARK[c] || c))) : layout;
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
async function draw(chart) {
  const chosen = await variant(chart);
  const wanted = [state[chart.dataset.control], isDark(), chart.clientWidth].join();
  if (chart.dataset.drawn === wanted) return;
  chart.dataset.drawn = wanted;
  chart.setAttribute("aria-label", chosen.label);
  chart.style.height = chosen.spec.layout.height + "px";
  const spec = coloured(chosen.spec, isDark());
  contrast(spec.data);
  await Plotly.react(chart, spec.data, spanColours(spec.layout, isDark()),
    {displayModeBar: false, responsive: false, doubleClick: "reset"});
  const details = document.querySelector('details[data-chart="' + chart.id + '"]');
  if (details.open) fill(details); else delete details.dataset.filled;
}
const near = new Set();
const watcher = new IntersectionObserver(entries => entries.forEach(entry => {
  if (entry.isIntersecting) { near.add(entry.target); draw(entry.target); } else near.delete(entry.target);
}), {rootMargin: "300px"});
charts.forEach(chart => watcher.observe(chart));
const drawAll = () => Promise.all(charts.filter(visible).map(draw));
const redraw = () => Promise.all([...near].filter(visible).map(draw));

function show() {
  document.querySelectorAll("[data-when]").forEach(node => {
    node.hidden = !node.dataset.when.split(" ").every(part => {
      const [name, value] = part.split("=");
      return state[name] === value;
    });
  });
  redraw();
}
document.querySelectorAll("select[data-sets]").forEach(select => {
  state[select.dataset.sets] = select.value;
  select.addEventListener("change", () => { state[select.dataset.sets] = select.value; show(); });
});

function rowsOf(chosen) { return [chosen.columns, ...chosen.rows]; }
async function fill(details) {
  const chosen = await variant(byId(details.dataset.chart));
  const table = document.createElement("table");
  rowsOf(chosen).forEach((row, number) => {
    const line = table.insertRow();
    row.forEach(value => {
      const cell = document.createElement(number ? "td" : "th");
      cell.textContent = value === null ? "–" : value;
      line.append(cell);
    });
  });
  const box = document.createElement("div");
  box.className = "scroll";
  box.tabIndex = 0;
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
    redraw();
  } else if (button.dataset.csv) {
    const chart = byId(button.dataset.csv);
    const quote = value => value === null ? "" : '"' + String(value).replaceAll('"', '""') + '"';
    const lines = rowsOf(await variant(chart)).map(row => row.map(quote).join(","));
    download(chart.dataset.name + ".csv", "text/csv", lines.join("\r\n") + "\r\n");
  } else if (button.dataset.svg) {
    const chart = byId(button.dataset.svg);
    const {spec} = await variant(chart);
    const choice = document.querySelector('select[data-sets="' + chart.dataset.control + '"]');
    const shown = chart.dataset.title + (choice ? ", " + choice.selectedOptions[0].textContent.toLowerCase() : "");
    const margin = {...spec.layout.margin, t: spec.layout.margin.t + 40};
    const title = {text: shown, x: 0.01, y: 1, yanchor: "top", pad: {t: 14}, font: {size: 12}};
    Plotly.downloadImage({data: spec.data, layout: {...spec.layout, margin, title}}, {format: "svg",
      filename: chart.dataset.name, width: chart.clientWidth, height: spec.layout.height + 40});
  }
});

let waiting = 0;
addEventListener("resize", () => { clearTimeout(waiting); waiting = setTimeout(redraw, 150); });
wish.addEventListener("change", redraw);
addEventListener("beforeprint", () => { printing = true; drawAll(); });
addEventListener("afterprint", () => { printing = false; redraw(); });
try {
  const kept = localStorage.getItem("orch-theme");
  if (kept === "dark" || kept === "light") root.dataset.theme = kept;
} catch (error) { /* a page from disk may not remember */ }
show();
window.orchPage = {drawAll};
const idle = window.requestIdleCallback || (call => setTimeout(call, 300));
const rest = charts.filter(visible);
const next = () => {
  const chart = rest.shift();
  if (chart) draw(chart).then(() => idle(next)); else root.dataset.ready = "yes";
};
idle(next);
})();
"""
