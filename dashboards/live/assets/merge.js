// A merge of three: what the server sent before, what it sends now, and what the page has become. Only what differs
// between the first two is touched, so that choices, opened tables and drawn figures stay.

import { aligned } from "./alignment.js";
import { standsFor } from "./served.js";

/** A node that is new, in the page's document. */
function placed(fresh) {
  const node = document.importNode(fresh, false);
  standsFor.set(fresh, node);
  for (const child of fresh.childNodes) node.append(placed(child));
  return node;
}

function mergeAttributes(node, old, fresh) {
  for (const name of new Set([...old.getAttributeNames(), ...fresh.getAttributeNames()])) {
    const value = fresh.getAttribute(name);
    if (old.getAttribute(name) === value) continue;
    if (value === null) node.removeAttribute(name);
    else node.setAttribute(name, value);
  }
}

function mergeChildren(node, before, after) {
  const pairs = aligned(before, after);
  const kept = new Set(pairs.map(([place]) => place));
  const partner = new Map(pairs.map(([i, j]) => [j, before[i]]));
  before.forEach((child, place) => {
    if (!kept.has(place)) standsFor.get(child)?.remove();
  });
  let last = null;
  after.forEach((child, place) => {
    const old = partner.get(place);
    const here = old ? standsFor.get(old) : placed(child);
    if (old) merge(old, child);
    else if (last) last.after(here);
    else node.prepend(here);
    last = here;
  });
}

/** Bring what became of `old` to what `fresh` says; `fresh` stands for it from then on. */
export function merge(old, fresh) {
  const node = standsFor.get(old);
  if (old.isEqualNode(fresh)) {
    fresh.replaceWith(old);
    return;
  }
  standsFor.set(fresh, node);
  if (fresh.nodeType !== Node.ELEMENT_NODE) {
    node.data = fresh.data;
    return;
  }
  mergeAttributes(node, old, fresh);
  const chosen = node.selectedOptions?.[0]?.textContent;
  mergeChildren(node, [...old.childNodes], [...fresh.childNodes]);
  const again = [...(node.options || [])].find((option) => option.textContent === chosen);
  if (again) again.selected = true;
}
