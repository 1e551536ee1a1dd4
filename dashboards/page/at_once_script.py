"""What the page's script draws at once: grids of curves and heat maps as plain SVG, and where each panel lies.

Plotly takes half a second for 25 panels, this a twentieth of that; plotly's figure, which can be pointed at and
enlarged, takes its place when the page is idle. This knows what `curves.panels_figure` and `heat_maps.points_figure`
use and puts everything where plotly puts it.
"""

from __future__ import annotations

AT_ONCE = r"""
function axesIn(layout, width, tall) {
  const {l, r, t, b} = layout.margin, across = width - l - r, down = tall - t - b;
  const named = Object.entries(layout).filter(([name]) => /^[xy]axis/.test(name));
  return new Map(named.map(([name, own]) => {
    const {domain: [from, to] = [0, 1], range: [low, high]} = own, isX = name[0] === "x", whole = isX ? across : down;
    const start = isX ? l + from * whole : t + (1 - to) * whole, length = (to - from) * whole;
    const at = value => (isX ? value - low : high - value) / (high - low) * length;
    return [name.replace("axis", ""), {...own, isX, start, length, end: start + length, at}];
  }));
}
function ticksOf({range: [low, high], nticks}) {
  const rough = (high - low) / nticks, power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [2, 5, 10].find(most => rough / power <= most), first = Math.ceil(low / step);
  return Array.from({length: Math.floor(high / step) - first + 1}, (_, place) => +((first + place) * step).toFixed(9));
}
function svg(name, attributes, ...content) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  Object.entries(attributes).forEach(([key, value]) => made.setAttribute(key, value));
  made.append(...content);
  return made;
}
function inked(property, colour) {
  const shown = coloured(colour, isDark()), [, channels, alpha] = shown.match(/^rgba\((.*),(.*)\)$/) || [];
  return channels ? property + ":rgb(" + channels.replaceAll(",", ", ") + ");" + property + "-opacity:" + alpha + ";"
    : property + ":" + rgb(shown) + ";";
}
const DOTS = {circle: r => "M" + r + ",0A" + r + "," + r + " 0 1,1 " + -r + ",0A" + r + "," + r + " 0 1,1 " + r + ",0Z",
  diamond: r => "M" + 1.3 * r + ",0L0," + 1.3 * r + "L" + -1.3 * r + ",0L0," + -1.3 * r + "Z"};
const moved = (x, y) => "translate(" + x.toFixed(2) + "," + y.toFixed(2) + ")";
function seriesIn(x, y, {mode, x: places, y: values, line, marker}) {
  if (mode === "markers") return values.map((value, place) => [value, places[place]])
    .filter(pair => !pair.includes(null)).map(([value, place]) => svg("path", {d: DOTS[marker.symbol](marker.size / 2),
      transform: moved(x.at(place), y.at(value)), style: inked("fill", marker.color) +
      inked("stroke", marker.line.color) + "stroke-width:" + marker.line.width}));
  let pen = "M";
  const path = values.map((value, epoch) => {
    const step = value === null ? "" : pen + x.at(epoch).toFixed(2) + "," + y.at(value).toFixed(2);
    pen = value === null ? "M" : "L";
    return step;
  });
  const look = (line.dash === "dot" ? "stroke-dasharray:3,3;" : "") + "fill:none;stroke-width:" + line.width;
  return [svg("path", {d: path.join(""), style: inked("stroke", line.color) + look})];
}
const wordsIn = layout => (content, {size, color}, anchor, x, y, turned = "") => {
  const style = inked("fill", color) + "font:" + size + "px " + layout.font.family;
  return svg("text", {"text-anchor": anchor, transform: moved(x, y) + turned, style}, content);
};
function gridOfCurves({data, layout}, width, tall) {
  const axes = axesIn(layout, width, tall), panels = new Map();
  data.forEach(trace => {
    const name = trace.xaxis + trace.yaxis;
    panels.set(name, [...panels.get(name) || [], trace]);
  });
  const words = wordsIn(layout);
  const drawn = [...panels.values()].flatMap(traces => {
    const [{xaxis, yaxis}] = traces, x = axes.get(xaxis), y = axes.get(yaxis), {length: wide} = x, {length: high} = y;
    const rules = y.overlaying ? "" : [...ticksOf(x).map(value => "M" + x.at(value) + ",0v" + high),
      ...ticksOf(y).map(value => "M0," + y.at(value) + "h" + wide)].join("");
    const onto = "matrix(" + [x.at(1) - x.at(0), 0, 0, y.at(1) - y.at(0), x.at(0), y.at(0)] + ")";
    const bands = layout.shapes.filter(({xref, yref}) => xref === xaxis && yref === yaxis).map(({path, fillcolor}) =>
      svg("path", {d: path, transform: onto, style: inked("fill", fillcolor)}));
    const ruled = {"shape-rendering": "crispEdges", style: inked("stroke", x.gridcolor) + "fill:none"};
    return [svg("svg", {x: x.start, y: y.start, width: wide, height: high}, svg("path", {d: rules, ...ruled}), ...bands,
      ...traces.flatMap(trace => seriesIn(x, y, trace))),
      svg("rect", {x: x.start - .5, y: y.start - .5, width: wide + 1, height: high + 1, ...ruled})];
  });
  const labels = [...axes.values()].flatMap(axis => {
    const {start, length, at, isX, side, title, color, tickfont: {size}} = axis, beside = axes.get(axis.anchor);
    const below = beside.end + 14.2, [anchor, x] = side ? ["start", beside.end + 3.2] : ["end", beside.start - 3.2];
    const ticks = ticksOf(axis).map(value => {
      const content = String(value).replace("-", "−"), place = start + at(value);
      return isX ? words(content, {size, color}, "middle", place, below)
        : words(content, {size, color}, anchor, x, place + 3.85);
    });
    if (title.text) ticks.push(words(title.text, {...title.font, color}, "middle", start + length / 2, below + 14.2));
    return ticks;
  });
  const {l, r, t, b} = layout.margin;
  const notes = layout.annotations.map(({text, x, y, xanchor, yanchor, xshift = 0, yshift = 0, font, textangle}) => {
    const [anchor, left] = xanchor === "right" ? ["end", -1.5] : ["middle", 0];
    return words(text, font, anchor, l + x * (width - l - r) + xshift + left, t + (1 - y) * (tall - t - b) - yshift -
      (yanchor === "bottom" ? .41 * font.size : 0), textangle ? " rotate(" + textangle + ") translate(0,4)" : "");
  });
  return svg("svg", {width, height: tall, style: inked("background-color", layout.paper_bgcolor)}, ...drawn, ...labels,
    ...notes);
}
function heatMap(chosen, width, tall) {
  const [[heat, texts], layout] = figure(chosen, width, tall), axes = axesIn(layout, width, tall);
  const x = axes.get("x"), y = axes.get("y"), words = wordsIn(layout), font = {...x.tickfont, color: x.color};
  const rect = (left, right, top, bottom, gap, style) => svg("rect", {x: x.start + x.at(left) + gap,
    y: y.start + y.at(top) + gap, width: x.at(right) - x.at(left) - 2 * gap,
    height: y.at(bottom) - y.at(top) - 2 * gap, style});
  const lines = (content, look, along, down) => content.split("<br>").map((line, place, {length}) => {
    const base = y.start + y.at(down) + look.size * (.25 + 1.3 * (place - (length - 1) / 2));
    const written = words(line.replace(/<.?b>/g, ""), look, "middle", x.start + x.at(along), base);
    if (content.includes("<b>")) written.style.fontWeight = "bold";
    return written;
  });
  const cells = heat.z.flatMap((row, down) => row.flatMap((value, along) => value === null ? [] :
    rect(along - .5, along + .5, down - .5, down + .5, heat.xgap / 2,
      "fill:rgb(" + mixed(value, heat).map(Math.round).join(", ") + ")")));
  const frames = layout.shapes.map(({x0, x1, y0, y1, line}) =>
    rect(x0, x1, y0, y1, 0, inked("stroke", line.color) + "fill:none;stroke-width:" + line.width));
  const shown = texts.text.flatMap((content, place) => content.trim() ? lines(content,
    {...texts.textfont, color: texts.textfont.color[place]}, texts.x[place], texts.y[place]) : []);
  const notes = layout.annotations.flatMap(note =>
    lines(note.text, {...layout.font, ...note.font}, note.x, note.y));
  const ticks = [...x.ticktext.map((name, place) => words(name, font, "middle", x.start + x.at(place), y.end + 14)),
    ...y.ticktext.map((name, place) => words(name, font, "end", x.start - 3, y.start + y.at(place) + 3.85))];
  const [below, beside] = [x, y].map(({title, color}) => [title.text, {...title.font, color}, "middle"]);
  return svg("svg", {width, height: tall, style: inked("background-color", layout.paper_bgcolor)}, ...cells, ...frames,
    ...shown, ...notes, ...ticks, words(...below, x.start + x.length / 2, y.end + 31),
    words(...beside, x.start - 35.3, y.start + y.length / 2, " rotate(-90)"));
}
const atOnce = chart => chart.dataset.picks ? ({spec}, width, tall) => gridOfCurves(spec, width, tall)
  : chart.closest("#heat-maps") && heatMap;
"""
