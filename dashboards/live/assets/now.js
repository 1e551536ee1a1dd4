// What is going on now, on top of the page.

const COLUMNS = [
  "Configuration",
  "Repeat number",
  "Epoch",
  "Loss train",
  "valid",
  "Loss by epoch (train dotted)",
  "Where",
  "Heartbeat",
];
const panel = document.createElement("section");
panel.id = "now";
panel.innerHTML =
  '<h2>Now</h2><p class="lede"></p><div class="scroll" tabindex="0" role="region" ' +
  'aria-label="Configurations that are being trained"></div><p class="note" role="status"></p><p class="lost"></p>';
const [sentence, box, status, trouble] = panel.querySelectorAll("p.lede, div.scroll, p.note, p.lost");
let said = "";

export function say(text) {
  status.textContent = text;
}

export function sayTrouble(text) {
  trouble.textContent = text;
}

function svg(name, attributes) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

function spark(loss) {
  const values = [...loss.train, ...loss.valid].filter((value) => value !== null);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const label = `Loss by epoch, from ${loss.valid[0]} to ${loss.valid.at(-1)} on valid`;
  const drawn = svg("svg", { width: 120, height: 28, role: "img", "aria-label": label });
  for (const split of ["train", "valid"]) {
    const last = Math.max(1, loss[split].length - 1);
    const point = (value, epoch) =>
      `${(2 + (116 * epoch) / last).toFixed(1)},${(26 - (24 * (value - low)) / (high - low || 1)).toFixed(1)}`;
    const points = loss[split].map((value, epoch) => (value === null ? "" : point(value, epoch))).join(" ");
    drawn.append(svg("polyline", { class: split, points }));
  }
  return drawn;
}

const shown = (value) => (value === null || value === undefined ? "–" : value.toFixed(3));

function cellsOf({ name, repeats, epoch, of, loss, host, device, silent_s }) {
  return [
    name,
    repeats.length > 1 ? `${repeats[0]}–${repeats.at(-1)}` : String(repeats[0] ?? "–"),
    `${epoch} of ${of}`,
    loss ? shown(loss.train.at(-1)) : "–",
    loss ? shown(loss.valid.at(-1)) : "–",
    loss && loss.valid.length > 1 ? spark(loss) : "–",
    [host, device].filter(Boolean).join(", ") || "–",
    silent_s ? `silent for ${silent_s} s` : "alive",
  ];
}

function tableOf(running) {
  const table = document.createElement("table");
  const head = table.createTHead().insertRow();
  for (const title of COLUMNS) {
    const cell = document.createElement("th");
    cell.scope = "col";
    cell.textContent = title;
    head.append(cell);
  }
  const body = table.createTBody();
  for (const row of running) {
    const line = body.insertRow();
    cellsOf(row).forEach((value, place) => {
      const cell = document.createElement(place ? "td" : "th");
      if (!place) cell.scope = "row";
      cell.append(value);
      line.append(cell);
    });
  }
  return table;
}

/** Nothing is touched where it says what it said before. */
export function show(now) {
  const known = JSON.stringify(now);
  if (!now.repeats || known === said) return;
  said = known;
  const [done, all] = now.repeats;
  const parts = [`${done} of ${all} repeats and ${now.epochs[0]} of ${now.epochs[1]} epochs done`];
  if (now.per_second !== null) parts.push(`${now.per_second} epochs/s`);
  if (now.left) parts.push(now.left);
  sentence.textContent = `${parts.join(", ")}.`;
  if (!now.running.length) box.replaceChildren(now.idle);
  else box.replaceChildren(tableOf(now.running), now.hidden ? `and ${now.hidden} more` : "");
}

/** Put it in its place. */
export function open() {
  document.getElementById("main").prepend(panel);
}
