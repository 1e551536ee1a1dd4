"""What a live page runs beside the page's own script: asks for changes, brings them into the document, shows who works.

The document is changed by a merge of three: what the server sent before, what it sends now, and what the page has
become. Only what differs between the first two is touched, so that choices, opened tables and drawn figures stay.
The page's script is run again on the changed document; the listeners and observers of its earlier run are withdrawn
first, and what it still wants to draw is left to the new one.
"""

from __future__ import annotations

AROUND = ("orchLive.run(Plotly => {", "\n});")
"""Before and behind the page's own script."""

STYLE = """
#now .lost{color:var(--valid);font-weight:600}
#now table{font-size:13px}
#now .note{margin-top:10px}
#now polyline{fill:none;stroke-width:1.5}
#now polyline.train{stroke:var(--train);stroke-dasharray:2 2}
#now polyline.valid{stroke:var(--valid)}
@media print{#now{display:none}}
"""

BEFORE = r"""
const orchLive = (() => {
"use strict";
const EVERY_MS = 1000, HIDDEN_MS = 10000, LOST_MS = 3000;
const OBSERVERS = ["IntersectionObserver", "ResizeObserver", "MutationObserver"];
const root = document.documentElement;
const live = new WeakMap();
let base = copied(document.body);
let revision = REVISION, tag = "", said = "", page = null, run = 0, withdraw = new AbortController(), observers = [];

function copied(node) {
  const copy = node.cloneNode(false);
  live.set(copy, node);
  for (const child of node.childNodes) if (child.nodeName !== "SCRIPT") copy.append(copied(child));
  return copy;
}
function parsed(html) { return new DOMParser().parseFromString("<body>" + html, "text/html").body; }
function sectionsOf(body) { return body.querySelectorAll("section[id]"); }
function freshBody(update) {
  const fresh = update.frame === null ? base.cloneNode(true) : parsed(update.frame);
  if (update.frame !== null) sectionsOf(fresh).forEach(section => {
    const before = base.querySelector("#" + CSS.escape(section.id));
    if (before) section.replaceChildren(...before.cloneNode(true).childNodes);
  });
  for (const [name, html] of Object.entries(update.sections))
    fresh.querySelector("#" + CSS.escape(name)).replaceChildren(...parsed(html).childNodes);
  return fresh;
}

function likeness(node) {
  if (node.nodeType !== Node.ELEMENT_NODE) return {kind: "#" + node.nodeType, figures: ""};
  const figures = node.matches(".chart") ? [node] : [...node.querySelectorAll(".chart")];
  const named = /\d$/.test(node.id) ? "" : node.id;
  const text = node.nodeName === "OPTION" ? node.textContent : "";
  return {kind: [node.nodeName, node.className, named, text].join("|"), named,
    titles: new Set(figures.map(chart => chart.dataset.title)), figures: figures.map(c => c.dataset.title).join("|")};
}
function weight(a, b) {
  if (a.kind !== b.kind) return 0;
  if (a.figures === b.figures) return 1000;
  const shared = [...a.titles].filter(title => b.titles.has(title)).length;
  return shared || a.named || !a.titles.size || !b.titles.size ? 1 + shared : 0;
}
function aligned(before, after) {
  const [a, b] = [before.map(likeness), after.map(likeness)];
  const same = (one, other) => one.kind === other.kind && one.figures === other.figures;
  const pairs = [];
  let first = 0, tail = 0;
  while (first < Math.min(a.length, b.length) && same(a[first], b[first])) { pairs.push([first, first]); first++; }
  while (tail < Math.min(a.length, b.length) - first && same(a.at(-1 - tail), b.at(-1 - tail))) tail++;
  const [rows, columns] = [a.length - tail - first, b.length - tail - first];
  const gain = (i, j) => weight(a[first + i], b[first + j]);
  const best = Array.from({length: rows + 1}, () => new Float64Array(columns + 1));
  for (let i = rows - 1; i >= 0; i--) for (let j = columns - 1; j >= 0; j--) {
    const here = gain(i, j);
    best[i][j] = Math.max(best[i + 1][j], best[i][j + 1], here ? here + best[i + 1][j + 1] : 0);
  }
  for (let i = 0, j = 0; i < rows && j < columns;) {
    const here = gain(i, j);
    if (here && best[i][j] === here + best[i + 1][j + 1]) pairs.push([first + i++, first + j++]);
    else if (best[i][j] === best[i + 1][j]) i++; else j++;
  }
  for (let place = tail; place > 0; place--) pairs.push([a.length - place, b.length - place]);
  return pairs;
}
function merge(old, fresh) {
  const node = live.get(old);
  if (old.isEqualNode(fresh)) { fresh.replaceWith(old); return; }
  live.set(fresh, node);
  if (fresh.nodeType !== Node.ELEMENT_NODE) { node.data = fresh.data; return; }
  for (const name of new Set([...old.getAttributeNames(), ...fresh.getAttributeNames()])) {
    const value = fresh.getAttribute(name);
    if (old.getAttribute(name) === value) continue;
    if (value === null) node.removeAttribute(name); else node.setAttribute(name, value);
    if (name === "data-payload") delete node.dataset.drawn;
  }
  const chosen = node.selectedOptions?.[0]?.textContent;
  const [before, after] = [[...old.childNodes], [...fresh.childNodes]];
  const pairs = aligned(before, after);
  const kept = new Set(pairs.map(([place]) => place)), partner = new Map(pairs.map(([i, j]) => [j, i]));
  before.forEach((child, place) => { if (!kept.has(place)) live.get(child)?.remove(); });
  let last = null;
  after.forEach((child, place) => {
    let here;
    if (partner.has(place)) {
      here = live.get(before[partner.get(place)]);
      merge(before[partner.get(place)], child);
    } else {
      here = placed(child);
      if (last) last.after(here); else node.prepend(here);
    }
    last = here;
  });
  const again = [...node.options || []].find(option => option.textContent === chosen);
  if (again) again.selected = true;
}
function placed(fresh) {
  const node = document.importNode(fresh, false);
  live.set(fresh, node);
  for (const child of fresh.childNodes) node.append(placed(child));
  return node;
}
function bringData(update) {
  for (const [name, element] of Object.entries(update.data)) {
    document.getElementById(name)?.remove();
    document.body.append(document.importNode(parsed(element).firstChild, true));
  }
  const kept = new Set(update.kept);
  document.querySelectorAll('body > script[type="application/gzip"][id]').forEach(element => {
    if (!kept.has(element.id)) element.remove();
  });
}
function apply(update) {
  if (update.revision !== revision) {
    if (!page && Object.keys(update.data).length) { location.reload(); return; }
    const fresh = freshBody(update);
    bringData(update);
    merge(base, fresh);
    base = fresh;
    revision = update.revision;
    if (page) start();
    say("New results at " + new Date().toLocaleTimeString() + ".");
  }
  root.dataset.revision = revision;
  show(update.now, update.error);
}

function start() {
  withdraw.abort();
  observers.forEach(observer => observer.disconnect());
  [withdraw, observers] = [new AbortController(), []];
  const {signal} = withdraw, mine = ++run;
  const {addEventListener} = EventTarget.prototype;
  const usual = OBSERVERS.map(name => [name, window[name]]);
  EventTarget.prototype.addEventListener = function (type, listener, options) {
    const given = options && typeof options === "object" ? options : {capture: options === true};
    return addEventListener.call(this, type, listener, {...given, signal});
  };
  usual.forEach(([name, Usual]) => {
    window[name] = class extends Usual { constructor(...given) { super(...given); observers.push(this); } };
  });
  try { page(drawing(mine)); } finally {
    EventTarget.prototype.addEventListener = addEventListener;
    usual.forEach(([name, Usual]) => { window[name] = Usual; });
  }
}
const drawing = mine => ({...Plotly, react(chart, data, layout, config) {
  if (mine === run) return Plotly.react(chart, data, layout, config);
  delete chart.dataset.drawn;
  setTimeout(() => dispatchEvent(new Event("resize")));
  return Promise.resolve(chart);
}});

const panel = document.createElement("section");
panel.id = "now";
panel.innerHTML = '<h2>Now</h2><p class="lede"></p><div class="scroll" tabindex="0" role="region" ' +
  'aria-label="Configurations that are being trained"></div><p class="note" role="status"></p><p class="lost"></p>';
document.getElementById("main").prepend(panel);
const [sentence, box, status, trouble] = panel.querySelectorAll("p.lede, div.scroll, p.note, p.lost");
function say(text) { status.textContent = text; }
function duration(seconds) {
  if (seconds < 90) return seconds + " s";
  const minutes = Math.round(seconds / 60);
  if (minutes < 90) return minutes + " min";
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? hours + " h " + minutes % 60 + " min" : Math.floor(hours / 24) + " d " + hours % 24 + " h";
}
function spark(loss) {
  const values = [...loss.train, ...loss.valid].filter(value => value !== null);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const drawn = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  drawn.setAttribute("width", 120);
  drawn.setAttribute("height", 28);
  drawn.setAttribute("role", "img");
  drawn.setAttribute("aria-label", "Loss by epoch, from " + loss.valid[0] + " to " + loss.valid.at(-1) + " on valid");
  for (const split of ["train", "valid"]) {
    const line = document.createElementNS("http://www.w3.org/2000/svg", "polyline");
    const last = Math.max(1, loss[split].length - 1);
    line.setAttribute("class", split);
    line.setAttribute("points", loss[split].map((value, epoch) => value === null ? "" :
      (2 + 116 * epoch / last).toFixed(1) + "," + (26 - 24 * (value - low) / (high - low || 1)).toFixed(1)).join(" "));
    drawn.append(line);
  }
  return drawn;
}
function shown(value) { return value === null || value === undefined ? "–" : value.toFixed(3); }
function range([from, to]) { return from === to ? String(from) : from + "–" + to; }
function cells(row) {
  const numbers = row.repeats, where = [row.host, row.device].filter(Boolean).join(", ");
  return [row.name, numbers.length > 1 ? numbers[0] + "–" + numbers.at(-1) : String(numbers[0] ?? "–"),
    range(row.epoch) + " of " + row.asked, row.loss ? shown(row.loss.train.at(-1)) : "–",
    row.loss ? shown(row.loss.valid.at(-1)) : "–", row.loss && row.loss.valid.length > 1 ? spark(row.loss) : "–",
    where || "–", row.silent_s ? "silent for " + row.silent_s + " s" : "alive"];
}
function show(now, error) {
  trouble.textContent = error;
  if (!now.repeats) return;
  const known = JSON.stringify(now);
  if (known === said) return;
  said = known;
  const parts = [now.repeats[0] + " of " + now.repeats[1] + " repeats and " + now.epochs[0] + " of " + now.epochs[1] +
    " epochs done"];
  if (now.per_second !== null) parts.push(now.per_second + " epochs/s");
  if (now.seconds_left !== null) parts.push("about " + duration(now.seconds_left) + " left");
  sentence.textContent = parts.join(", ") + ".";
  if (!now.running.length) { box.replaceChildren(now.idle); return; }
  const table = document.createElement("table");
  const line = table.createTHead().insertRow();
  for (const title of ["Configuration", "Repeat number", "Epoch", "Loss train", "valid", "Loss by epoch (train dotted)",
    "Where", "Heartbeat"]) {
    const head = document.createElement("th");
    head.scope = "col";
    head.textContent = title;
    line.append(head);
  }
  const body = table.createTBody();
  now.running.forEach(row => {
    const tr = body.insertRow();
    cells(row).forEach((value, place) => {
      const cell = document.createElement(place ? "td" : "th");
      if (!place) cell.scope = "row";
      cell.append(value);
      tr.append(cell);
    });
  });
  box.replaceChildren(table, now.hidden ? "and " + now.hidden + " more" : "");
}

async function poll() {
  let wait = document.hidden ? HIDDEN_MS : EVERY_MS;
  try {
    const answer = await fetch("update?since=" + encodeURIComponent(revision),
      {headers: tag ? {"If-None-Match": tag} : {}});
    if (answer.status === 200) {
      tag = answer.headers.get("ETag");
      apply(await answer.json());
    } else if (answer.status !== 304) throw new Error("status " + answer.status);
    root.dataset.reached = "yes";
  } catch (fault) {
    if (root.dataset.reached !== "no") trouble.textContent = "Not updated since " + new Date().toLocaleTimeString() +
      ": the server does not answer (" + fault.message + "). What is shown stays as it was.";
    root.dataset.reached = "no";
    tag = "";
    wait = LOST_MS;
  }
  timer = setTimeout(poll, wait);
}
let timer = setTimeout(poll, 0);
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) { clearTimeout(timer); timer = setTimeout(poll, 0); }
});
return {run(given) { if (typeof Plotly !== "undefined") { page = given; start(); } }};
})();
"""
