// The ends of the axes of parallel coordinates, over the drawing: dragged along an axis, or moved by the arrow keys.
// Listeners are the document's, because a live page runs this script again over what an earlier run has made.

import { letGo, narrow, shownValue, textOf } from "./narrowing.js";

const STILL_PX = 4;
const ROOM_PX = 12;
const STRIP_PX = 18;
const BESIDE_PX = 18;
const ENDS = ["low", "high"];

let drag = null;

function made(kind, className) {
  const node = document.createElement(kind);
  node.className = className;
  return node;
}

function strip({ title }) {
  const node = made("div", "brush");
  node.append(made("i", "range"));
  for (const end of ENDS) {
    const handle = made("span", `end ${end}`);
    const attributes = { role: "slider", tabindex: 0, "aria-orientation": "vertical", "aria-valuemin": 0 };
    for (const [name, value] of Object.entries(attributes)) handle.setAttribute(name, value);
    handle.setAttribute("aria-label", `${title}, ${end === "low" ? "lower" : "upper"} end`);
    node.append(handle);
  }
  return node;
}

/** Where a place, 0 to 1, lies in a strip. */
const pixelsOf = ({ reach }, place) => ROOM_PX + (1 - place) * reach;

function stretch(node, low, high) {
  const [range, lower, upper] = node.children;
  range.style.top = `${pixelsOf(node, high)}px`;
  range.style.height = `${pixelsOf(node, low) - pixelsOf(node, high)}px`;
  lower.style.top = `${pixelsOf(node, low)}px`;
  upper.style.top = `${pixelsOf(node, high) - ROOM_PX}px`;
}

/** Bring a strip to what its axis says. */
function arrange(node) {
  const { low, high, places, values, isNarrowed } = node.axis;
  node.classList.toggle("narrowed", isNarrowed);
  stretch(node, places[low], places[high]);
  for (const [number, end] of ENDS.entries()) {
    const handle = node.children[1 + number];
    handle.setAttribute("aria-valuemax", places.length - 1);
    handle.setAttribute("aria-valuenow", node.axis[end]);
    handle.setAttribute("aria-valuetext", shownValue(values[node.axis[end]]));
  }
}

/** Lay the ends over a chart that is drawn. */
export function layBrushes(chart, axes) {
  const box = chart.parentNode;
  let layer = box.querySelector(".brushes");
  if (!layer) {
    layer = made("div", "brushes");
    box.append(layer);
  }
  const names = axes.map(({ name }) => name).join();
  if (layer.dataset.names !== names) layer.replaceChildren(...axes.map(strip));
  layer.dataset.names = names;
  const { xaxis, yaxis } = chart._fullLayout;
  const [top, bottom] = [1, 0].map((place) => yaxis._offset + yaxis.l2p(place));
  axes.forEach((axis, number) => {
    const node = layer.children[number];
    const beside = number === axes.length - 1 ? BESIDE_PX : 0; // the ends of the lines answer to the pointer there
    Object.assign(node, { axis, reach: bottom - top });
    node.style.left = `${xaxis._offset + xaxis.l2p(number) - STRIP_PX / 2 + beside}px`;
    node.style.top = `${top - ROOM_PX}px`;
    node.style.height = `${node.reach + 2 * ROOM_PX}px`;
    arrange(node);
  });
}

function changed(node) {
  arrange(node);
  node.dispatchEvent(new Event("narrowed", { bubbles: true }));
}

/** Keep the places from the one to the other number. */
function keepPlaces(node, low, high) {
  const { name, values } = node.axis;
  const isWhole = low === 0 && high === values.length - 1;
  narrow(name, isWhole ? null : [low, high].map((number) => textOf(values[number])));
  changed(node);
}

/** Numbers of the places between two heights, or of the one nearest to where the drag ended. */
function between({ axis: { places } }, from, to) {
  const inside = places.flatMap((place, number) =>
    place >= Math.min(from, to) - 1e-6 && place <= Math.max(from, to) + 1e-6 ? [number] : [],
  );
  if (inside.length) return [inside[0], inside.at(-1)];
  const away = places.map((place) => Math.abs(place - to));
  const nearest = away.indexOf(Math.min(...away));
  return [nearest, nearest];
}

function heightAt(node, y) {
  const place = 1 - (y - node.getBoundingClientRect().top - ROOM_PX) / node.reach;
  return Math.min(1, Math.max(0, place));
}

function begin(event) {
  const node = event.target.closest?.(".brush");
  if (!node || event.button) return;
  event.preventDefault();
  const end = event.target.closest(".end");
  end?.focus({ preventScroll: true });
  const { places, low, high } = node.axis;
  const fixed = end && places[end.classList.contains("low") ? high : low];
  drag = { node, y: event.clientY, from: fixed ?? heightAt(node, event.clientY), isEnd: Boolean(end) };
}

function go({ clientY }) {
  if (!drag || Math.abs(clientY - drag.y) < STILL_PX) return;
  const ends = [drag.from, heightAt(drag.node, clientY)].sort((one, other) => one - other);
  drag.node.classList.add("narrowed");
  stretch(drag.node, ...ends);
}

function finish({ clientY }) {
  if (!drag) return;
  const { node, from, y, isEnd } = drag;
  drag = null;
  const isStill = Math.abs(clientY - y) < STILL_PX;
  if (isStill && isEnd) return;
  if (isStill) keepPlaces(node, 0, node.axis.places.length - 1);
  else keepPlaces(node, ...between(node, from, heightAt(node, clientY)));
}

function step(event) {
  const end = event.target.closest?.(".brush .end");
  if (!end) return;
  const node = end.parentNode;
  const last = node.axis.places.length - 1;
  const far = Math.max(1, Math.round(last / 10));
  const steps = { ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1, PageUp: far, PageDown: -far };
  const by = { ...steps, Home: -last, End: last }[event.key];
  if (!by && event.key !== "Escape") return;
  event.preventDefault();
  const { low, high } = node.axis;
  if (event.key === "Escape") keepPlaces(node, 0, last);
  else if (end.classList.contains("low")) keepPlaces(node, Math.min(high, Math.max(0, low + by)), high);
  else keepPlaces(node, low, Math.max(low, Math.min(last, high + by)));
}

export function brush() {
  document.addEventListener("pointerdown", begin);
  document.addEventListener("pointermove", go);
  document.addEventListener("pointerup", finish);
  document.addEventListener("pointercancel", () => {
    if (drag) arrange(drag.node);
    drag = null;
  });
  document.addEventListener("keydown", step);
  document.addEventListener("click", ({ target }) => {
    if (!target.closest?.(".left button")) return;
    letGo();
    target.dispatchEvent(new Event("narrowed", { bubbles: true }));
  });
}
