// The page's own script, run again on the changed document: the listeners and observers of its earlier run are
// withdrawn first, and what that still wants to draw is left to the new one.

const OBSERVERS = ["IntersectionObserver", "ResizeObserver", "MutationObserver"];

let page = null;
let run = 0;
let withdraw = new AbortController();
let observers = [];

export const hasPage = () => page !== null;

/** Plotly for one run: once another has begun, it draws nothing. */
function drawing(mine) {
  return {
    ...Plotly,
    react(chart, data, layout, config) {
      if (mine === run) return Plotly.react(chart, data, layout, config);
      delete chart.dataset.drawn;
      setTimeout(() => dispatchEvent(new Event("resize")));
      return Promise.resolve(chart);
    },
  };
}

export function start() {
  window.orchPage?.stop();
  withdraw.abort();
  for (const observer of observers) observer.disconnect();
  withdraw = new AbortController();
  observers = [];
  const { signal } = withdraw;
  const { addEventListener } = EventTarget.prototype;
  const usual = OBSERVERS.map((name) => [name, window[name]]);
  EventTarget.prototype.addEventListener = function listen(type, listener, options) {
    const given = options && typeof options === "object" ? options : { capture: options === true };
    return addEventListener.call(this, type, listener, { ...given, signal });
  };
  for (const [name, Usual] of usual) {
    window[name] = class extends Usual {
      constructor(...given) {
        super(...given);
        observers.push(this);
      }
    };
  }
  try {
    page(drawing(++run));
  } finally {
    EventTarget.prototype.addEventListener = addEventListener;
    for (const [name, Usual] of usual) window[name] = Usual;
  }
}

/** What the server puts around the page's script calls this. */
export function take(given) {
  if (typeof Plotly === "undefined") return;
  page = given;
  start();
}
