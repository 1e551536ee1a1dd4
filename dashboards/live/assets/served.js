// What the server sent, beside what the page has become of it: each node that was sent knows the one it stands for.

export const standsFor = new WeakMap();

/** A copy of what the page is now, without its scripts. */
export function copied(node) {
  const copy = node.cloneNode(false);
  standsFor.set(copy, node);
  for (const child of node.childNodes) if (child.nodeName !== "SCRIPT") copy.append(copied(child));
  return copy;
}

export function parsed(html) {
  return new DOMParser().parseFromString(`<body>${html}`, "text/html").body;
}

/** The body that an update makes of the one before; frame and sections only where they changed. */
export function freshBody(base, { frame, sections }) {
  const fresh = frame === null ? base.cloneNode(true) : parsed(frame);
  if (frame !== null) {
    for (const section of fresh.querySelectorAll("section[id]")) {
      const before = base.querySelector(`#${CSS.escape(section.id)}`);
      if (before) section.replaceChildren(...before.cloneNode(true).childNodes);
    }
  }
  for (const [name, html] of Object.entries(sections)) {
    fresh.querySelector(`#${CSS.escape(name)}`).replaceChildren(...parsed(html).childNodes);
  }
  return fresh;
}
