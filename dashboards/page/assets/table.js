// The data of a chart as a table below it, and as rows for CSV.

import { variant } from "./choices.js";

const MOST_ROWS = 2000;

/** The header, then the rows. */
export function rowsOf({ columns, values, rows }) {
  return [columns, ...(rows ? rows() : (values[0] || []).map((_, row) => values.map((column) => column[row])))];
}

function shown(value) {
  if (value === null) return "–";
  return typeof value === "number" && !Number.isInteger(value) ? String(+value.toPrecision(5)) : value;
}

function tableOf([columns, ...rows]) {
  const table = document.createElement("table");
  const head = table.createTHead().insertRow();
  const body = table.createTBody();
  for (const name of columns) {
    const cell = document.createElement("th");
    cell.scope = "col";
    cell.textContent = name;
    head.append(cell);
  }
  for (const row of rows.slice(0, MOST_ROWS)) {
    const line = body.insertRow();
    for (const value of row) line.insertCell().textContent = shown(value);
  }
  if (rows.length > MOST_ROWS) {
    table.createCaption().textContent = `The first ${MOST_ROWS} of ${rows.length} rows; CSV has all.`;
  }
  return table;
}

async function fill(details) {
  const chosen = await variant(document.getElementById(details.dataset.chart));
  const box = document.createElement("div");
  box.className = "scroll";
  box.tabIndex = 0;
  box.setAttribute("role", "region");
  box.setAttribute("aria-label", `Data: ${chosen.label}`);
  box.append(tableOf(rowsOf(chosen)));
  details.querySelector(".scroll")?.remove();
  details.append(box);
  details.dataset.filled = "yes";
}

/** After another choice: at once where the table is open, else when it is opened. */
export function refill(chart) {
  const details = document.querySelector(`details[data-chart="${chart.id}"]`);
  if (details.open) fill(details);
  else delete details.dataset.filled;
}

export function fillWhenOpened() {
  for (const details of document.querySelectorAll("details.data")) {
    details.addEventListener("toggle", () => {
      if (details.open && !details.dataset.filled) fill(details);
    });
  }
}
