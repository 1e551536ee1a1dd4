// Which children of a node are the same ones before and after: the pairing that keeps the most figures.

function likeness(node) {
  if (node.nodeType !== Node.ELEMENT_NODE) return { kind: `#${node.nodeType}`, figures: "" };
  const charts = node.matches(".chart") ? [node] : [...node.querySelectorAll(".chart")];
  const titles = charts.map((chart) => chart.dataset.title);
  const named = /\d$/.test(node.id) ? "" : node.id;
  const text = node.nodeName === "OPTION" ? node.textContent : "";
  const kind = [node.nodeName, node.className, named, text].join("|");
  return { kind, named, titles: new Set(titles), figures: titles.join("|") };
}

function weight(a, b) {
  if (a.kind !== b.kind) return 0;
  if (a.figures === b.figures) return 1000;
  const shared = [...a.titles].filter((title) => b.titles.has(title)).length;
  return shared || a.named || !a.titles.size || !b.titles.size ? 1 + shared : 0;
}

/** Pairs of places [before, after], in order: the heaviest common subsequence. */
export function aligned(before, after) {
  const [a, b] = [before.map(likeness), after.map(likeness)];
  const same = (one, other) => one.kind === other.kind && one.figures === other.figures;
  const pairs = [];
  let first = 0;
  let tail = 0;
  for (; first < Math.min(a.length, b.length) && same(a[first], b[first]); first++) pairs.push([first, first]);
  while (tail < Math.min(a.length, b.length) - first && same(a.at(-1 - tail), b.at(-1 - tail))) tail++;
  const [rows, columns] = [a.length - tail - first, b.length - tail - first];
  const gain = (i, j) => weight(a[first + i], b[first + j]);
  const best = Array.from({ length: rows + 1 }, () => new Float64Array(columns + 1));
  for (let i = rows - 1; i >= 0; i--) {
    for (let j = columns - 1; j >= 0; j--) {
      const here = gain(i, j);
      best[i][j] = Math.max(best[i + 1][j], best[i][j + 1], here ? here + best[i + 1][j + 1] : 0);
    }
  }
  for (let i = 0, j = 0; i < rows && j < columns; ) {
    const here = gain(i, j);
    if (here && best[i][j] === here + best[i + 1][j + 1]) pairs.push([first + i++, first + j++]);
    else if (best[i][j] === best[i + 1][j]) i++;
    else j++;
  }
  for (let place = tail; place > 0; place--) pairs.push([a.length - place, b.length - place]);
  return pairs;
}
