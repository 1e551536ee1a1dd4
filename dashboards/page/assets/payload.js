// What the page's data are read with: payloads opened, see `dashboards/page/packing.py`.

const opened = new Map();

/** Rows of numbers from their planes of bytes; what each row holds stands in the table. */
function numbersOf({ n, decimals, width, others }, planes) {
  const used = planes.map(() => 0);
  return n.map((count, row) => {
    const numbers = new Array(count);
    const scale = 10 ** decimals[row];
    const bytes = planes.slice(0, width[row]);
    for (let i = 0, whole = 0; i < count; i++) {
      let signed = 0;
      for (let place = 0; place < bytes.length; place++) signed |= bytes[place][used[place] + i] << (8 * place);
      whole += (signed >>> 1) ^ -(signed & 1);
      numbers[i] = whole / scale;
    }
    for (let place = 0; place < bytes.length; place++) used[place] += count;
    for (const [at, other] of others[row] || []) numbers[at] = other;
    return numbers;
  });
}

function unpacked(value, rows) {
  if (Array.isArray(value)) return value.map((item) => unpacked(item, rows));
  if (!value || typeof value !== "object") return value;
  if ("$" in value) return rows[value.$];
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, unpacked(item, rows)]));
}

/** The bytes behind the letters of an element. */
export async function inflated(element) {
  const text = element.textContent;
  const bytes = new DataView(new ArrayBuffer(((text.length - 1) / 5) * 4));
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

async function contentOf(element) {
  const buffer = await inflated(element);
  const lengths = new DataView(buffer);
  let at = 20;
  const [json, ...planes] = [0, 1, 2, 3, 4].map((place) => {
    const length = lengths.getUint32(4 * place, true);
    at += length;
    return new Uint8Array(buffer, at - length, length);
  });
  const [value, rows] = JSON.parse(new TextDecoder().decode(json));
  return unpacked(value, numbersOf(rows, planes));
}

/** What a chart has in its payload, opened once. */
export function payload(chart) {
  const id = chart.dataset.payload;
  if (!opened.has(id)) opened.set(id, contentOf(document.getElementById(id)));
  return opened.get(id);
}
