"""What the page's script reads its figures with: payloads opened (see `packing`), figures in short unfolded, the one
that the controls choose."""

from __future__ import annotations

PAYLOADS = r"""
function numbersOf({n, decimals, width, others}, planes) {
  const used = planes.map(() => 0);
  return n.map((count, row) => {
    const numbers = new Array(count), scale = 10 ** decimals[row], bytes = planes.slice(0, width[row]);
    for (let i = 0, whole = 0; i < count; i++) {
      let signed = 0;
      for (let place = 0; place < bytes.length; place++) signed |= bytes[place][used[place] + i] << 8 * place;
      whole += (signed >>> 1) ^ -(signed & 1);
      numbers[i] = whole / scale;
    }
    bytes.forEach((_, place) => { used[place] += count; });
    (others[row] || []).forEach(([at, other]) => { numbers[at] = other; });
    return numbers;
  });
}
function unpacked(value, rows) {
  if (Array.isArray(value)) return value.map(item => unpacked(item, rows));
  if (!value || typeof value !== "object") return value;
  if ("$" in value) return rows[value.$];
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, unpacked(item, rows)]));
}
async function inflated(node) {
  const text = node.textContent, bytes = new DataView(new ArrayBuffer((text.length - 1) / 5 * 4));
  for (let at = 1, to = 0; at < text.length; to += 4) {
    let word = 0;
    for (const last = at + 5; at < last; at++) {
      const letter = text.charCodeAt(at);
      word = word * 85 + (letter === 120 ? 60 : letter) - 35;
    }
    bytes.setUint32(to, word);
  }
  const packed = new Uint8Array(bytes.buffer, 0, bytes.byteLength - Number(text[0]));
  return new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
}
async function opened(chart) {
  const buffer = await inflated(byId(chart.dataset.payload)), lengths = new DataView(buffer);
  let at = 20;
  const [json, ...planes] = [0, 1, 2, 3, 4].map(place => {
    const length = lengths.getUint32(4 * place, true);
    at += length;
    return new Uint8Array(buffer, at - length, length);
  });
  const [value, rows] = JSON.parse(new TextDecoder().decode(json));
  return unpacked(value, numbersOf(rows, planes));
}
function payload(chart) {
  const id = chart.dataset.payload;
  if (!loaded.has(id)) loaded.set(id, opened(chart));
  return loaded.get(id);
}
function merged(common, own) {
  const plain = value => value && typeof value === "object" && !Array.isArray(value);
  return Object.fromEntries([...new Set([...Object.keys(common), ...Object.keys(own)])].map(key => [key,
    plain(common[key]) && plain(own[key]) ? merged(common[key], own[key]) : key in own ? own[key] : common[key]]));
}
function unfolded({data, layout, alike, axes}) {
  return {data: data.map(({like, ...own}) => merged(alike[like], own)), layout: Object.fromEntries(
    Object.entries(layout).map(([key, own]) => [key, /^[xy]axis/.test(key) ? merged(axes[key[0]], own) : own]))};
}
function expand(chosen) {
  chosen.spec = unfolded(chosen.spec);
  const lines = chosen.spec.data.filter(trace => trace.meta);
  const known = ({customdata}) => { const end = customdata.indexOf(null); return end < 0 ? customdata.length : end; };
  const shown = (value, epoch) => epoch + "," + value.toPrecision(6);
  chosen.spec.layout.shapes = lines.filter(known).map(line => {
    const {customdata, meta, xaxis, yaxis} = line, means = line.y.slice(0, known(line));
    const above = means.map((mean, epoch) => shown(mean + customdata[epoch], epoch));
    const below = means.map((mean, epoch) => shown(mean - customdata[epoch], epoch));
    return {type: "path", layer: "below", path: "M" + [...above, ...below.reverse()].join("L") + "Z",
      fillcolor: meta.band, line: {width: 0}, xref: xaxis, yref: yaxis};
  });
  chosen.rows = () => lines.filter(({meta}) => meta.split === "train").flatMap(train => {
    const valid = lines.find(({xaxis, yaxis, meta}) => meta.split === "valid" &&
      xaxis === train.xaxis && yaxis === train.yaxis);
    const n = epoch => valid.meta.n.findLast(([first]) => first <= epoch)[1];
    return train.y.map((mean, epoch) => [...train.meta.point, train.meta.score, epoch, mean, train.customdata[epoch],
      valid.y[epoch], valid.customdata[epoch], n(epoch)]);
  });
}
function singles({template, columns, panels, loss, hits}, number) {
  const {name, repeats, selected, lengths, images} = panels[number];
  const sum = numbers => numbers.reduce((total, length) => total + length, 0);
  const first = sum(panels.slice(0, number).map(before => sum(before.lengths)));
  const starts = lengths.map((_, place) => first + sum(lengths.slice(0, place)));
  const accuracy = hits.map((counts, split) => counts.map(count => images[split] ? count / images[split] : null));
  const every = of => repeats.flatMap((repeat, place) =>
    Array.from({length: lengths[place]}, (_, epoch) => of(repeat, epoch, starts[place] + epoch, place)));
  const broken = of => repeats.flatMap((repeat, place) => [...(place ? [null] : []),
    ...Array.from({length: lengths[place]}, (_, epoch) => of(repeat, epoch, starts[place] + epoch))]);
  const x = broken((_, epoch) => epoch), text = broken(repeat => repeat);
  const data = [loss, accuracy].flatMap((score, side) => {
    const [train, valid, dots] = template.data.slice(3 * side, 3 * side + 3);
    const along = (trace, split) => ({...trace, x, text, y: broken((_, __, at) => score[split][at])});
    return [along(train, 0), along(valid, 1), {...dots, x: selected, text: repeats,
      y: selected.map((epoch, place) => score[1][starts[place] + epoch])}];
  });
  const label = "Loss and accuracy by epoch of " + repeats.length + " single repeats, " + name + ".";
  return {spec: {data, layout: template.layout}, label, columns,
    rows: () => every((repeat, epoch, at, place) => [repeat, epoch, epoch === selected[place],
      loss[0][at], loss[1][at], accuracy[0][at], accuracy[1][at]])};
}
const choiceOf = (chart, choices = state) => chart.dataset.control.split(" ").map(name => choices[name]).join("|");
async function variant(chart, choices = state) {
  const all = await payload(chart);
  const key = choiceOf(chart, choices);
  if (chart.dataset.singles) return singles(all, Number(key) || 0);
  const chosen = all[key] || all[Object.keys(all)[0]];
  if (chosen.spec.alike) expand(chosen);
  return chosen;
}
"""
