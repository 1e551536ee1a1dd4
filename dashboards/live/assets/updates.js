// Asks the server for changes and brings them into the document.

import { merge } from "./merge.js";
import { open, say, sayTrouble, show } from "./now.js";
import { hasPage, start, take } from "./runs.js";
import { copied, freshBody, parsed } from "./served.js";

const EVERY_MS = 1000;
const HIDDEN_MS = 10000;
const LOST_MS = 3000;
const root = document.documentElement;
let base = copied(document.body);
let revision = REVISION;
let tag = "";

function bringData({ data, kept }) {
  for (const [name, element] of Object.entries(data)) {
    document.getElementById(name)?.remove();
    document.body.append(document.importNode(parsed(element).firstChild, true));
  }
  const wanted = new Set(kept);
  for (const element of document.querySelectorAll('body > script[type="application/gzip"][id]')) {
    if (!wanted.has(element.id)) element.remove();
  }
}

function apply(update) {
  if (update.revision !== revision) {
    if (!hasPage() && Object.keys(update.data).length) {
      location.reload();
      return;
    }
    const fresh = freshBody(base, update);
    bringData(update);
    merge(base, fresh);
    base = fresh;
    revision = update.revision;
    if (hasPage()) start();
    say(`New results at ${new Date().toLocaleTimeString()}.`);
  }
  root.dataset.revision = revision;
  sayTrouble(update.error);
  show(update.now);
}

function lost(fault) {
  if (root.dataset.reached !== "no") {
    sayTrouble(
      `Not updated since ${new Date().toLocaleTimeString()}: the server does not answer (${fault.message}). ` +
        "What is shown stays as it was.",
    );
  }
  root.dataset.reached = "no";
  tag = "";
}

async function poll() {
  let wait = document.hidden ? HIDDEN_MS : EVERY_MS;
  try {
    const headers = tag ? { "If-None-Match": tag } : {};
    const answer = await fetch(`update?since=${encodeURIComponent(revision)}`, { headers });
    if (answer.status === 200) {
      tag = answer.headers.get("ETag");
      apply(await answer.json());
    } else if (answer.status !== 304) throw new Error(`status ${answer.status}`);
    root.dataset.reached = "yes";
  } catch (fault) {
    lost(fault);
    wait = LOST_MS;
  }
  timer = setTimeout(poll, wait);
}

open();
let timer = setTimeout(poll, 0);
document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  clearTimeout(timer);
  timer = setTimeout(poll, 0);
});
window.orchLive = { take };
