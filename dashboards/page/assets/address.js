// The view in the page's address, so that it can be kept and sent: behind the section whatever was chosen and is not
// what a page begins with, and of axes that are narrowed their ends, "#search&partition=1&picked=3f2a90c41b7e". Only
// what the page offers is taken from it.

import { narrowedParts, takePart } from "./narrowing.js";

const root = document.documentElement;
const selects = () => [...document.querySelectorAll("select[data-sets]")];
/** Set what the address says, once for a page. */
export function restore() {
  if (root.dataset.restored) return;
  root.dataset.restored = "yes";
  const [place, ...parts] = location.hash.slice(1).split("&");
  for (const part of parts) {
    const [name, value] = part.split("=");
    takePart(name, value);
    for (const select of selects().filter(({ dataset }) => dataset.sets === name)) {
      if ([...select.options].some((option) => option.value === value)) select.value = value;
    }
  }
  if (parts.length && place) document.getElementById(place)?.scrollIntoView();
}

/** Say in the address what is chosen; of which section the last choice was, where it was of one. */
export function keep(section = "") {
  const chosen = selects().filter(({ options, value }) => options.length && value !== options[0].value);
  const parts = new Set([...chosen.map(({ dataset, value }) => `${dataset.sets}=${value}`), ...narrowedParts()]);
  const said = [section || location.hash.slice(1).split("&")[0], ...parts].join("&");
  if (said !== location.hash.slice(1)) history.replaceState(null, "", `#${said}`);
}

/** A link to a section leaves what is chosen as it is. */
export function keepOnLinks() {
  addEventListener("hashchange", () => {
    if (!location.hash.includes("&")) keep();
  });
}
