// Axes of parallel coordinates that a reader narrowed: which configurations are left, and what is drawn and told of
// them. An axis is narrowed by the values at its ends, `axis-lr=0.0001,0.01` in the page's address, so that it stays so
// with another metric, with the best alone and with results that come later.

const PALE = "#e4dfd5";
const NOT_TRIED = "–";
const PREFIX = "axis-";
const root = document.documentElement;
const known = new WeakMap();

const narrowedAxes = () => new Map(JSON.parse(root.dataset.narrowed || "[]"));

/** Of what a drawing that has axes hangs on. */
export const narrowing = (chart) => (chart.dataset.axes && root.dataset.narrowed) || "";

/** A value as it stands in the address, "" where none was tried. */
export const textOf = (value) => (value === null ? "" : String(value));

/** Keep what lies between two values, as text, "" for where none was tried; without them all. */
export function narrow(name, ends = null) {
  const axes = narrowedAxes();
  if (ends) axes.set(name, ends);
  else axes.delete(name);
  root.dataset.narrowed = axes.size ? JSON.stringify([...axes]) : "";
}

export function letGo() {
  root.dataset.narrowed = "";
}

/** As parts of the address. */
export const narrowedParts = () =>
  [...narrowedAxes()].map(([name, ends]) => `${PREFIX}${name}=${ends.map(encodeURIComponent).join(",")}`);

/** Take a part of the address that is of an axis which the page has. */
export function takePart(part, value = "") {
  const name = part.slice(PREFIX.length);
  const charts = [...document.querySelectorAll("[data-axes]")];
  const ends = value.split(",");
  if (!part.startsWith(PREFIX) || ends.length !== 2) return;
  if (!charts.some(({ dataset }) => dataset.axes.split(" ").includes(name))) return;
  try {
    narrow(name, ends.map(decodeURIComponent));
  } catch {
    // no address that a page made
  }
}

/** The points of a trace that are of some configurations, see `marks.js`. */
export function pointsOf(trace, keeps) {
  const { ids, each = 1 } = trace.meta;
  const mine = (_, place) => keeps(ids[Math.floor(place / each)]);
  const parts = ["x", "y", "text"].filter((name) => Array.isArray(trace[name]));
  const own = Object.fromEntries(parts.map((name) => [name, trace[name].filter(mine)]));
  return { ...trace, ...own, meta: { ...trace.meta, ids: ids.filter(keeps) } };
}

/** Each axis with its places from the bottom up and the value at each, and where every configuration stands. */
function axesOf({ spec, columns, values }) {
  const lines = spec.data.filter(({ meta }) => meta?.axes);
  const axes = Object.entries(lines[0].meta.axes);
  const heights = new Map();
  for (const { y, meta } of lines) {
    meta.ids.forEach((id, row) => {
      if (!heights.has(id)) heights.set(id, y.slice(row * meta.each, row * meta.each + axes.length));
    });
  }
  const ids = values[columns.indexOf("id")];
  return axes.map(([name, column], number) => {
    const own = values[columns.indexOf(column)];
    const stands = new Map(ids.map((id) => [id, heights.get(id)[number]]));
    const at = new Map(ids.map((id, row) => [stands.get(id), own[row]]));
    const places = [...at.keys()].sort((one, other) => one - other);
    const title = spec.layout.xaxis.ticktext[number];
    return { name, title, stands, places, values: places.map((place) => at.get(place)) };
  });
}

/** Numbers of the lowest and the highest place between two values, as text: of numbers those in between or else the
 * nearest, of words themselves; [] where there is no such word. */
function placesOf({ values }, ends) {
  const numbers = ends.map(Number);
  const isNumber = values.some((value) => typeof value === "number") && ends.every((said) => said !== "");
  if (isNumber && numbers.every(Number.isFinite)) {
    const [least, most] = numbers.sort((one, other) => one - other);
    const within = (value) => value !== null && value >= least && value <= most;
    const inside = values.flatMap((value, place) => (within(value) ? [place] : []));
    if (inside.length) return [inside[0], inside.at(-1)];
    const away = values.map((value) => (value === null ? Number.POSITIVE_INFINITY : Math.abs(value - least)));
    const nearest = away.indexOf(Math.min(...away));
    return [nearest, nearest];
  }
  const places = ends.map((said) => values.findIndex((value) => textOf(value) === said));
  return places.includes(-1) ? [] : places.sort((one, other) => one - other);
}

function limited(axis, ends) {
  const [low, high] = ends ? placesOf(axis, ends) : [];
  if (low === undefined) return { ...axis, low: 0, high: axis.places.length - 1, isNarrowed: false };
  return { ...axis, low, high, isNarrowed: true };
}

/** A value of an axis in words. */
export function shownValue(value) {
  if (value === null) return NOT_TRIED;
  if (typeof value !== "number") return String(value);
  const rounded = +value.toPrecision(3);
  return rounded && Math.abs(rounded) < 0.001 ? rounded.toExponential() : String(rounded);
}

function rangeOf({ title, low, high, values }) {
  const ends = [values[low], values[high]];
  if (ends.every((value) => typeof value === "number")) ends.sort((one, other) => one - other);
  const [first, last] = ends.map(shownValue);
  return first === last ? `${title} ${first}` : `${title} ${first} to ${last}`;
}

function toldOf(left, of, narrowed) {
  if (!narrowed.length) return `${of} configurations are shown.`;
  const are = left === 1 ? "configuration is" : "configurations are";
  return `${left || "None"} of ${of} ${are} left: ${narrowed.map(rangeOf).join("; ")}.`;
}

/** A variant with what is left of it, its axes, and how many are left in words. */
export function narrowed(chosen) {
  if (!known.has(chosen)) known.set(chosen, axesOf(chosen));
  const wanted = narrowedAxes();
  const axes = known.get(chosen).map((axis) => limited(axis, wanted.get(axis.name)));
  const limits = axes.filter(({ isNarrowed }) => isNarrowed);
  const within = (id, { stands, places, low, high }) => stands.get(id) >= places[low] && stands.get(id) <= places[high];
  const keeps = (id) => limits.every((axis) => within(id, axis));
  const ids = chosen.values[chosen.columns.indexOf("id")];
  const told = toldOf(ids.filter(keeps).length, ids.length, limits);
  if (!limits.length) return { ...chosen, axes, told };
  const traces = chosen.spec.data.filter(({ meta }) => meta?.ids);
  const others = traces
    .filter(({ meta, name }) => meta.axes && !name)
    .map((trace) => pointsOf(trace, (id) => !keeps(id)));
  const pale = others.map((trace) => ({ ...trace, line: { color: PALE, width: 1 } }));
  const left = traces.map((trace) => pointsOf(trace, keeps));
  const data = [...pale, ...left].filter(({ meta }) => meta.ids.length);
  const values = chosen.values.map((column) => column.filter((_, row) => keeps(ids[row])));
  return { ...chosen, spec: { ...chosen.spec, data }, values, axes, told };
}
