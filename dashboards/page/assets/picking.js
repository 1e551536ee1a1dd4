// A click on a panel of a grid of curves picks its single repeats. Plotly keeps clicks to itself, so pointers are
// followed; one that moves enlarges.

const STILL_PX = 5;

/** The trace of the panel that lies there. */
function traceAt(chart, x, y) {
  const axis = (name) => chart._fullLayout[name.replace(/^[xy]/, "$&axis")];
  const holds = ({ _offset, _length }, at) => at >= _offset && at <= _offset + _length;
  return chart.data?.find(({ meta, xaxis, yaxis }) => meta && holds(axis(xaxis), x) && holds(axis(yaxis), y));
}

function pick(chart, trace) {
  const select = document.querySelector(`select[data-sets="${chart.dataset.picks}"]`);
  const option = [...select.options].find(({ textContent }) => textContent === trace.meta.name);
  select.value = option?.value || "";
  select.dispatchEvent(new Event("change"));
}

export function pickOnClick() {
  let pressed = null;
  const down = ({ clientX, clientY, target }) => {
    pressed = { x: clientX, y: clientY, chart: target.closest?.(".chart[data-picks]") };
  };
  const up = ({ clientX, clientY }) => {
    if (!pressed?.chart || Math.hypot(clientX - pressed.x, clientY - pressed.y) > STILL_PX) return;
    const { left, top } = pressed.chart.getBoundingClientRect();
    const trace = traceAt(pressed.chart, clientX - left, clientY - top);
    if (trace) pick(pressed.chart, trace);
  };
  document.addEventListener("pointerdown", down, true);
  document.addEventListener("pointerup", up, true);
}
