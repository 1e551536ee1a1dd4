// Which charts are drawn and when: those in view at once, those near it when the page is idle, the others not.

import { layBrushes } from "./brush.js";
import { choiceOf, chosenOf, variant } from "./choices.js";
import { figure, heightOf } from "./figure.js";
import { marked } from "./marks.js";
import { narrowing } from "./narrowing.js";
import { inflated } from "./payload.js";
import { plot } from "./plot.js";
import { refill } from "./table.js";
import { isDark, recolour } from "./theme.js";

const NEAR_PX = 600;
const root = document.documentElement;
const charts = [...document.querySelectorAll(".chart")];
let turn = 0;

const isVisible = (chart) => chart.offsetParent !== null;

const packed = document.getElementById("library");
/** A page that is served has plotly as a script of its own, a page from disk unpacks it. */
const library = packed && inflated(packed).then(execute);

function execute(buffer) {
  const script = document.createElement("script");
  script.textContent = new TextDecoder().decode(buffer);
  document.head.append(script);
}

// on a busy machine no moment may be idle enough for the browser: then after half a second
const idle = () =>
  new Promise((done) => {
    if (window.requestIdleCallback) requestIdleCallback(done, { timeout: 500 });
    else setTimeout(done, 50);
  });

/** What the chart is to show: when this is what it was drawn for, there is nothing to do. */
const wantedOf = (chart) => [dataOf(chart), markOf(chart), isDark(), chart.clientWidth].join();

/** What is chosen of its data. */
const dataOf = (chart) => [chart.dataset.payload, choiceOf(chart), narrowing(chart)].join();

/** The configuration that is marked in the chart. */
const markOf = (chart) => (chart.dataset.marks && chosenOf(chart.dataset.marks)) || "";

/** What a screen reader says and the opened table, for a chart wherever it is. */
async function describe(chart) {
  const { label, told } = await variant(chart);
  const wanted = dataOf(chart);
  if (chart.dataset.described === wanted) return;
  chart.dataset.described = wanted;
  chart.setAttribute("aria-label", told ? `${label} ${told}` : label);
  if (told) tellLeft(chart, told);
  refill(chart);
}

/** How many are left, and a way back to all of them. */
function tellLeft(chart, told) {
  const [words, button] = chart.closest(".frame").nextElementSibling.children;
  words.textContent = told;
  button.hidden = !narrowing(chart);
}

async function draw(chart) {
  const wanted = wantedOf(chart);
  if (chart.dataset.drawn === wanted || !isVisible(chart)) return;
  delete chart.dataset.settled;
  await library;
  const { spec, axes } = await variant(chart);
  if (wantedOf(chart) !== wanted) return draw(chart); // something else was chosen meanwhile
  if (chart.dataset.drawn === wanted) return;
  chart.dataset.drawn = wanted;
  const height = heightOf(spec, chart.clientWidth);
  chart.style.height = `${height}px`;
  describe(chart);
  await plot(chart, ...figure(marked(spec, markOf(chart)), chart.clientWidth, height));
  if (axes) layBrushes(chart, axes);
  if (wantedOf(chart) === wanted) chart.dataset.settled = "yes";
}

/** Charts in view, then those near it, the nearest to the middle of the view first. */
function nearest() {
  const middle = innerHeight / 2;
  const aside = ({ top, bottom }) => Math.max(0, top - middle, middle - bottom);
  const placed = charts.filter(isVisible).map((chart) => ({ chart, away: aside(chart.getBoundingClientRect()) }));
  const sorted = placed.sort((one, other) => one.away - other.away);
  const within = (from, to) => sorted.filter(({ away }) => away >= from && away < to).map(({ chart }) => chart);
  return [within(0, middle), within(middle, middle + NEAR_PX)];
}

/** Bring what is in view up to date, then what is near it and what can wait. */
export async function redraw(canWait = []) {
  const mine = ++turn;
  delete root.dataset.ready;
  const [inView, beside] = nearest();
  await Promise.all(inView.filter((chart) => !canWait.includes(chart)).map(draw));
  for (const chart of [...canWait, ...beside]) {
    if (chart.dataset.drawn !== wantedOf(chart)) await idle();
    if (mine !== turn) return;
    await draw(chart);
  }
  if (mine !== turn) return;
  root.dataset.ready = "yes";
  readAhead(mine);
}

/** Another theme: colours are exchanged at once where plotly has not made an image of them. */
export function retheme() {
  const [inView] = nearest();
  const lines = inView.filter((chart) => chart.dataset.drawn && !chart.querySelector("image"));
  lines.forEach(recolour);
  return redraw(lines);
}

const isPrinted = (chart) => isVisible(chart.closest("details.fold") ?? chart);

/** Who prints does not wait: only what was read before can be drawn for the paper. Who listens hears every chart. */
async function readAhead(mine) {
  for (const chart of charts.filter(isPrinted)) {
    await idle();
    if (mine !== turn) return;
    await describe(chart);
  }
}

/** All charts that the choices show, wherever they are; folded ones are only read. */
export function drawAll() {
  return Promise.all(charts.filter(isPrinted).map((chart) => (isVisible(chart) ? draw(chart) : describe(chart))));
}

/** Leave what is not drawn yet to another run of this script, in a live page. */
export function stop() {
  turn++;
}

/** Draw whatever comes near the view from now on. */
export function watch() {
  const watcher = new IntersectionObserver(() => redraw(), { rootMargin: `${NEAR_PX}px` });
  for (const chart of charts) watcher.observe(chart);
}
