// What plotly is given to draw: colours of the theme, room for names, the height that fits the width.

import { coloured, isOnPaper } from "./theme.js";

const NARROW_PX = 480;
const COLUMN_PX = 1180;
const ruler = document.createElement("canvas").getContext("2d");

/** Red, green and blue, 0 to 255, of a value on the colour scale of a heat map. */
function mixed(value, { zmin, zmax, colorscale }) {
  const at = Math.min(1, Math.max(0, (value - zmin) / (zmax - zmin))) * (colorscale.length - 1);
  const low = Math.min(Math.floor(at), colorscale.length - 2);
  const channels = ([, colour]) => [1, 3, 5].map((place) => Number.parseInt(colour.slice(place, place + 2), 16));
  const [from, to] = [low, low + 1].map((place) => channels(colorscale[place]));
  return from.map((channel, place) => channel + (to[place] - channel) * (at - low));
}

/** Words on a heat map black or white, whichever stands out (WCAG 2 relative luminance). */
export function contrasted(data) {
  const linear = (c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  const [heat] = data;
  return data.map((trace) => {
    if (trace.meta !== "on heat map") return trace;
    const color = heat.z.flat().map((value) => {
      const [r, g, b] = mixed(value, heat).map((channel) => linear(channel / 255));
      return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179 ? "#000000" : "#ffffff";
    });
    return { ...trace, textfont: { ...trace.textfont, color } };
  });
}

/** Room for names of rows is measured here: plotly would draw everything a second time to find it. */
function makeRoom({ yaxis: axis, yaxis2: another, margin, font }) {
  if (!axis?.ticktext || another || axis.title.text) return;
  ruler.font = `${axis.tickfont.size}px ${font.family}`;
  const signs = { "&lt;": "<", "&gt;": ">", "&amp;": "&" };
  const plain = (name) => name.replace(/<[^>]*>/g, "").replace(/&(?:lt|gt|amp);/g, (sign) => signs[sign]);
  const lines = axis.ticktext.flatMap((name) => name.split("<br>"));
  const widths = lines.map((line) => ruler.measureText(plain(line)).width);
  margin.l = Math.max(margin.l, Math.ceil(Math.max(...widths)) + 15);
  axis.automargin = false;
}

/** Pixels: figures grow with a wide screen, but not where their height is a number of rows, and not on paper. */
export function heightOf({ layout }, width) {
  const hasRows = Object.keys(layout).some((name) => /^yaxis/.test(name) && layout[name].ticktext);
  const column = document.querySelector("main").clientWidth;
  const wider = hasRows || isOnPaper() || width < 700 ? 1 : column / COLUMN_PX;
  return Math.round(layout.height * Math.min(1.4, Math.max(1, wider)));
}

/** [data, layout] for plotly. */
export function figure(spec, width, height) {
  const layout = { ...coloured(spec.layout), width, height };
  makeRoom(layout);
  if (width < NARROW_PX && layout.xaxis?.tickangle === 0) layout.xaxis.nticks = 4;
  return [contrasted(coloured(spec.data)), layout];
}
