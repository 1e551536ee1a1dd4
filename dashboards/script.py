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

function unpacked(value, tail) {
  if (Array.isArray(value)) return value.map(item => unpacked(item, tail));
  if (!value || typeof value !== "object") return value;
  if (!value.$) return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, unpacked(item, tail)]));
  const [offset, n, decimals, width, others] = value.$;
  const numbers = new Array(n), scale = 10 ** decimals;
  for (let i = 0, whole = 0; i < n; i++) {
    let signed = 0;
    for (let plane = 0; plane < width; plane++) signed |= tail[offset + plane * n + i] << 8 * plane;
    whole += (signed >>> 1) ^ -(signed & 1);
    numbers[i] = whole / scale;
  }
  others.forEach(([at, other]) => { numbers[at] = other; });
  return numbers;
}
async function payload(chart) {
  const id = chart.dataset.payload;
  if (!loaded.has(id)) {
    const bytes = Uint8Array.from(atob(byId(id).textContent), c => c.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    loaded.set(id, new Response(stream).arrayBuffer().then(buffer => {
      const length = new DataView(buffer).getUint32(0, true);
      const json = new TextDecoder().decode(new Uint8Array(buffer, 4, length));
      const all = unpacked(JSON.parse(json), new Uint8Array(buffer, 4 + length));
      if (!chart.dataset.singles) Object.values(all).filter(chosen => !chosen.values).forEach(expand);
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
  chosen.rows = () => lines.filter(({meta}) => meta.split === "train").flatMap(train => {
    const valid = lines.find(other => other.yaxis === train.yaxis && other.meta.split === "valid");
    const n = epoch => valid.meta.n.findLast(([first]) => first <= epoch)[1];
    return train.y.map((mean, epoch) => [...train.meta.point, train.meta.score, epoch, mean, train.customdata[epoch],
      valid.y[epoch], valid.customdata[epoch], n(epoch)]);
  });
}
function singles({template, columns, panels}, number) {
  const {name, repeats, selected, lengths, images, loss, hits} = panels[number];
  const accuracy = hits.map((counts, split) => counts.map(count => images[split] ? count / images[split] : null));
  const starts = [];
  lengths.reduce((start, length) => { starts.push(start); return start + length; }, 0);
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
async function variant(chart) {
  const all = await payload(chart);
  const key = chart.dataset.control.split(" ").map(name => state[name]).join("|");
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
  const wanted = [...chart.dataset.control.split(" ").map(name => state[name]), isDark(), chart.clientWidth].join();
  if (chart.dataset.drawn === wanted) return;
  delete chart.dataset.settled;
  const chosen = await variant(chart);
  if (chart.dataset.drawn === wanted) return;
  chart.dataset.drawn = wanted;
  chart.setAttribute("aria-label", chosen.label);
  chart.style.height = chosen.spec.layout.height + "px";
  const spec = coloured(chosen.spec, isDark());
  contrast(spec.data);
  await Plotly.react(chart, spec.data, {...spanColours(spec.layout, isDark()), width: chart.clientWidth},
    {displayModeBar: false, responsive: false, doubleClick: "reset"});
  chart.dataset.settled = "yes";
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
      return value === "!" ? Boolean(state[name]) : state[name] === value;
    });
  });
  redraw();
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
  box.setAttribute("aria-label", "Data of the chart");
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
addEventListener("resize", () => { clearTimeout(waiting); waiting = setTimeout(redraw, 150); });
wish.addEventListener("change", redraw);
const print = on => { printing = on; root.classList.toggle("printing", on); return on ? drawAll() : redraw(); };
addEventListener("beforeprint", () => print(true));
addEventListener("afterprint", () => print(false));
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
