// The page at work: which field is shown, what is said of its patches, and what is taken back.

import { describe } from "./facts.js";
import { beside, lay, show } from "./grid.js";
import { listen } from "./keys.js";
import { ask, tell } from "./talk.js";

const at = (id) => document.getElementById(id);
const done = [];
let all = null;
let said = { verdicts: {}, counts: {} };
let number = 0;
let buttons = new Map();
let current = null;
let waiting = Promise.resolve();

const field = () => all.fields[number];
const patches = () => field().squares.filter((square) => square.id !== undefined);
const rejectedOf = (id) => said.verdicts[id]?.rejected ?? null;
const isMarked = (square) => square.hints?.length > 0 && !said.verdicts[square.id];

function refresh() {
  const { patches: total, rejected, used, suggested } = said.counts;
  const here = patches();
  const out = here.filter(({ id }) => rejectedOf(id)).length;
  at("counts").textContent =
    `${all.folder}: ${used} of ${total} patches used, ${rejected} rejected, ${suggested} marked and not decided. ` +
    `Image ${number + 1} of ${all.fields.length}: ${out} of ${here.length} rejected. You are ${all.by}.`;
  for (const square of here) show(buttons.get(square.id), square, said.verdicts[square.id]);
  at("undo").disabled = !done.length;
  at("previous").disabled = number === 0;
  at("next").disabled = number === all.fields.length - 1;
  at("marked").disabled = !suggested;
  at("reject-marked").disabled = !here.some(isMarked);
  if (current) describe(at("facts"), field(), current, said.verdicts[current.id], all.size);
  else at("facts").replaceChildren("No patch of this image was cut.");
}

function choose(square, moves) {
  if (current) buttons.get(current.id)?.setAttribute("tabindex", "-1");
  current = square ?? null;
  const button = current && buttons.get(current.id);
  if (button) {
    button.tabIndex = 0;
    if (moves) button.focus();
  }
}

function open(next, square, moves = false) {
  number = Math.min(Math.max(next, 0), all.fields.length - 1);
  buttons = lay(at("field"), field(), number);
  at("fields").value = String(number);
  current = null;
  choose(square ?? patches()[0], moves);
  refresh();
}

/** One after the other, so that what is taken back is what was said. */
function store(words, remembers = true) {
  const place = number;
  waiting = waiting.then(async () => {
    const before = Object.fromEntries(Object.keys(words).map((id) => [id, rejectedOf(id)]));
    try {
      said = await tell(words);
      if (remembers) done.push({ before, place });
      at("trouble").textContent = "";
    } catch (fault) {
      at("trouble").textContent = `Not stored: ${fault.message}. Is the command still running?`;
    }
    refresh();
  });
  return waiting;
}

function toggle(id) {
  return store({ [id]: rejectedOf(id) ? null : true });
}

function undo() {
  waiting = waiting.then(() => {
    const last = done.pop();
    if (!last) return;
    if (last.place !== number) open(last.place);
    const id = Number(Object.keys(last.before)[0]);
    choose(patches().find((square) => square.id === id) ?? current, true);
    store(last.before, false);
  });
}

function nextMarked() {
  for (let step = 0; step <= all.fields.length; step++) {
    const place = (number + step) % all.fields.length;
    const from = step === 0 && current ? current.id : -1;
    const square = all.fields[place].squares.find((one) => isMarked(one) && one.id > from);
    if (!square) continue;
    if (place !== number) open(place, square, true);
    else choose(square, true);
    refresh();
    return;
  }
}

function move(direction) {
  if (!current) return;
  choose(beside(patches(), current, direction), true);
  refresh();
}

const turn = (by) => open(number + by, null, true);

const acts = {
  reject: () => current && store({ [current.id]: true }),
  keep: () => current && store({ [current.id]: false }),
  undo,
  next: () => turn(1),
  previous: () => turn(-1),
  marked: nextMarked,
  move,
};

function begin() {
  at("fields").replaceChildren(...all.fields.map((one, place) => new Option(`${one.label} · ${one.file}`, place)));
  at("fields").addEventListener("change", (event) => open(Number(event.target.value)));
  const squareOf = ({ target }) => patches().find((one) => buttons.get(one.id) === target);
  at("field").addEventListener("click", (event) => {
    const square = squareOf(event);
    if (!square) return;
    choose(square, true);
    toggle(square.id);
  });
  at("field").addEventListener("focusin", (event) => {
    const square = squareOf(event);
    if (!square || square === current) return;
    choose(square);
    refresh();
  });
  at("next").addEventListener("click", acts.next);
  at("previous").addEventListener("click", acts.previous);
  at("marked").addEventListener("click", nextMarked);
  at("undo").addEventListener("click", undo);
  at("reject-marked").addEventListener("click", () => {
    const marked = patches().filter(isMarked);
    if (marked.length) store(Object.fromEntries(marked.map(({ id }) => [id, true])));
  });
  listen(acts);
  open(0);
  document.documentElement.dataset.ready = "yes";
}

Promise.all([ask("fields"), ask("verdicts")])
  .then(([fields, verdicts]) => {
    [all, said] = [fields, verdicts];
    begin();
  })
  .catch((fault) => {
    at("trouble").textContent = `The patches cannot be shown: ${fault.message}`;
  });
