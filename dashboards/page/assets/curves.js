// Grids of curves: what `dashboards/figures/folding.py` says once is said to every trace and axis again, and the bands
// are made from the lines.

function merged(common, own) {
  const plain = (value) => value && typeof value === "object" && !Array.isArray(value);
  const names = [...new Set([...Object.keys(common), ...Object.keys(own)])];
  const both = (name) => {
    if (plain(common[name]) && plain(own[name])) return merged(common[name], own[name]);
    return name in own ? own[name] : common[name];
  };
  return Object.fromEntries(names.map((name) => [name, both(name)]));
}

function unfolded({ data, layout, alike, axes }) {
  const whole = ([name, own]) => [name, /^[xy]axis/.test(name) ? merged(axes[name[0]], own) : own];
  return {
    data: data.map(({ like, ...own }) => merged(alike[like], own)),
    layout: Object.fromEntries(Object.entries(layout).map(whole)),
  };
}

/** How many epochs of a line have a deviation. */
function known({ customdata }) {
  const end = customdata.indexOf(null);
  return end < 0 ? customdata.length : end;
}

function band(line) {
  const { customdata, meta, xaxis, yaxis } = line;
  const means = line.y.slice(0, known(line));
  const point = (value, epoch) => `${epoch},${value.toPrecision(6)}`;
  const above = means.map((mean, epoch) => point(mean + customdata[epoch], epoch));
  const below = means.map((mean, epoch) => point(mean - customdata[epoch], epoch));
  const path = `M${[...above, ...below.reverse()].join("L")}Z`;
  const look = { type: "path", layer: "below", fillcolor: meta.band, line: { width: 0 } };
  return { ...look, path, xref: xaxis, yref: yaxis };
}

function rowsOf(lines) {
  const ofSplit = (split) => lines.filter(({ meta }) => meta.split === split);
  return ofSplit("train").flatMap((train) => {
    const valid = ofSplit("valid").find(({ xaxis, yaxis }) => xaxis === train.xaxis && yaxis === train.yaxis);
    const n = (epoch) => valid.meta.n.findLast(([first]) => first <= epoch)[1];
    return train.y.map((mean, epoch) => [
      train.meta.name,
      train.meta.score,
      epoch,
      mean,
      train.customdata[epoch],
      valid.y[epoch],
      valid.customdata[epoch],
      n(epoch),
    ]);
  });
}

/** The variant with its figure whole, and the rows of its table. */
export function expanded(chosen) {
  const { data, layout } = unfolded(chosen.spec);
  const lines = data.filter((trace) => trace.meta);
  const spec = { data, layout: { ...layout, shapes: lines.filter(known).map(band) } };
  return { ...chosen, spec, rows: () => rowsOf(lines) };
}
