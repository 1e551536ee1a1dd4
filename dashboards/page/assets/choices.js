// What the controls are set to, and what a chart shows because of it.

import { expanded } from "./curves.js";
import { narrowed } from "./narrowing.js";
import { payload } from "./payload.js";
import { singles } from "./singles.js";

const state = {};
const whole = new WeakMap();

export function set(name, value) {
  state[name] = value;
}

export function chosenOf(name) {
  return state[name];
}

/** Whether a block is shown: its `data-when` says which controls must have which values, "!" any but the empty one. */
export function holds(block) {
  return block.dataset.when.split(" ").every((part) => {
    const [name, value] = part.split("=");
    return value === "!" ? Boolean(state[name]) : state[name] === value;
  });
}

export function choiceOf(chart) {
  const names = chart.dataset.control.split(" ");
  return names.map((name) => state[name]).join("|");
}

/** What is chosen of a chart; of a value that it lacks, the first that agrees in those before. */
function nearest(all, choice) {
  const keys = Object.keys(all);
  for (const parts = choice.split("|"); parts.length; parts.pop()) {
    const start = parts.join("|");
    const key = keys.find((one) => one === start || one.startsWith(`${start}|`));
    if (key) return all[key];
  }
  return all[keys[0]];
}

/** What the controls choose of a chart: {spec, label, columns, values} or, in the place of values, rows(); of one with
 * axes that can be narrowed what is left, its axes, and how many are left in words: {axes, told}. */
export async function variant(chart) {
  const all = await payload(chart);
  const choice = choiceOf(chart);
  if (chart.dataset.singles) return singles(all, Number(choice) || 0);
  const chosen = nearest(all, choice);
  if (chart.dataset.axes) return narrowed(chosen);
  if (!chosen.spec.alike) return chosen;
  if (!whole.has(chosen)) whole.set(chosen, expanded(chosen));
  return whole.get(chosen);
}
