// The settings of the configuration that was chosen, beside those of the best: what differs first, and marked.

import { chosenOf } from "./choices.js";
import { payload } from "./payload.js";

const NOT_TRIED = "–";

function row(body, kind, cells) {
  const line = body.insertRow();
  cells.forEach((words, place) => {
    const cell = document.createElement(kind === "head" || !place ? "th" : "td");
    if (cell.localName === "th") cell.scope = kind === "head" ? "col" : "row";
    cell.textContent = words;
    line.append(cell);
  });
  return line;
}

function tableOf({ settings, configurations }, id, best) {
  const table = document.createElement("table");
  const [mine, other] = [configurations[id], configurations[best]];
  const isAlone = id === best || !other;
  row(table.createTHead(), "head", ["Setting", "Chosen", ...(isAlone ? [] : ["Best", ""])]);
  const body = table.createTBody();
  const lines = settings.map((name, place) => {
    const beside = isAlone ? [] : [other.values[place]];
    return {
      cells: [name, mine.values[place], ...beside],
      differs: beside.some((value) => value !== mine.values[place]),
    };
  });
  const told = lines.filter(({ cells: [, ...values] }) => values.some((value) => value !== NOT_TRIED));
  for (const { cells, differs } of told.sort((one, two) => two.differs - one.differs)) {
    const mark = isAlone ? [] : [differs ? "≠" : ""];
    row(body, "", [...cells, ...mark]).classList.toggle("differs", differs);
  }
  return table;
}

function paragraph(words, kind) {
  const made = document.createElement("p");
  made.textContent = words;
  made.className = kind;
  return made;
}

function letGo(name) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Let go";
  button.addEventListener("click", () => {
    const select = document.querySelector(`select[data-sets="${name}"]`);
    select.value = "";
    select.dispatchEvent(new Event("change"));
  });
  return button;
}

/** Show what was chosen, or nothing. */
export async function showPicked() {
  const box = document.querySelector(".picked");
  if (!box) return;
  const content = await payload(box);
  const id = chosenOf(box.dataset.of);
  const mine = content.configurations[id];
  box.hidden = !mine;
  if (!mine) return;
  const best = content.best[Number(chosenOf("partition")) || 0];
  const scroll = document.createElement("div");
  scroll.className = "scroll";
  scroll.tabIndex = 0;
  scroll.setAttribute("role", "region");
  scroll.setAttribute("aria-label", "Settings of the chosen configuration");
  scroll.append(tableOf(content, id, best));
  const told = [mine.name, ...mine.told].map((words, place) => paragraph(words, place ? "note" : "name"));
  box.replaceChildren(letGo(box.dataset.of), ...told, scroll);
}
