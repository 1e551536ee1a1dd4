"""Figures of a search off a grid: parallel coordinates as plain lines, slices, and the importance of each setting."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dashboards.figures.choice import Choice
from dashboards.figures.markup import METRIC_NAMES, lr_text, plot_text
from dashboards.figures.palette import HEAT, INK, MUTED, PAPER, TRAIN, VALID, WIDE, Spec, axis, layout, legend
from dashboards.figures.search_settings import NAMES, settings_of

AXIS_WIDTH = 118
"""Pixels from one parallel axis to the next; with more than fit, the figure scrolls sideways."""
SLICES_ACROSS = 3
SHADES = HEAT[1:]
_MOST_TICKS = 6
_LOGARITHMIC_FROM = 10.0
"""Largest value over least one, from which on a setting is drawn by its logarithm."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Scale:
    """Where values stand on an axis from 0 to 1, and what is written there, escaped for plotly."""

    places: Floats
    ticks: list[float]
    names: list[str]


def scale_of(values: Sequence[Any]) -> Scale:
    """Of a setting: numbers by size or by their logarithm, words evenly spaced in alphabetical order."""
    if not all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values):
        names = sorted({str(value) for value in values})
        ticks = np.linspace(0, 1, len(names)) if len(names) > 1 else np.array([0.5])
        at = dict(zip(names, ticks.tolist(), strict=True))
        return Scale(
            np.array([at[str(value)] for value in values]), list(at.values()), [plot_text(_cut(name)) for name in names]
        )
    numbers = np.array(values, dtype=float)
    by_logarithm = numbers.min() > 0 and numbers.max() / numbers.min() >= _LOGARITHMIC_FROM
    moved = np.log10(numbers) if by_logarithm else numbers
    low, high = float(moved.min()), float(moved.max())
    length = high - low or 1.0
    shown = np.unique(numbers)
    if len(shown) > _MOST_TICKS:
        whole = bool((numbers == np.rint(numbers)).all())
        shown = _round_by_logarithm(shown[0], shown[-1]) if by_logarithm else _round(shown[0], shown[-1], whole)
    places = ((np.log10(shown) if by_logarithm else shown) - low) / length
    small = by_logarithm and shown[0] < 0.01
    return Scale((moved - low) / length, places.tolist(), [_power(one) if small else _number(one) for one in shown])


def score_scale(means: Floats, is_loss: bool) -> Scale:
    """Of the score, better values on top; what is far worse than most stands at the foot, its tick says "or worse"."""
    quarter, three_quarters = np.quantile(means, [0.25, 0.75])
    reach = 3 * (three_quarters - quarter)
    worst = min(means.max(), three_quarters + reach) if is_loss else max(means.min(), quarter - reach)
    best = means.min() if is_loss else means.max()
    length = (best - worst) or 1.0
    values = _round(min(worst, best), max(worst, best))
    names = [f"{value:.{_decimals(values)}f}" for value in values]
    ticks = (values - worst) / length
    if worst != (means.max() if is_loss else means.min()):
        free = np.flatnonzero(ticks > 0.1)
        ticks = np.concatenate([[0.0], ticks[free]])
        names = [f"{worst:.3f}<br>or worse", *(names[place] for place in free)]
    return Scale(((means - worst) / length).clip(0, 1), ticks.tolist(), names)


def _round(low: float, high: float, whole: bool = False) -> Floats:
    """The multiples of 1, 2 or 5 times a power of ten that lie between two numbers, 3 to 7; `whole` ones if so."""
    if high <= low:
        return np.array([low])
    power = 10.0 ** math.floor(math.log10((high - low) / 6))
    step = next(factor * power for factor in (1, 2, 5, 10) if (high - low) / (factor * power) <= 6)
    step = max(step, 1.0) if whole else step
    multiples = range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)
    return np.array([multiple * step for multiple in multiples])


def _round_by_logarithm(low: float, high: float) -> Floats:
    """Powers of ten between two numbers, or with fewer than three of them 1, 2 and 5 times each."""
    exponents = range(math.floor(math.log10(low)), math.floor(math.log10(high)) + 1)
    for factors in ((1,), (1, 2, 5)):
        found = [factor * 10.0**exponent for exponent in exponents for factor in factors]
        inside = np.array([value for value in found if low * (1 - 1e-9) <= value <= high * (1 + 1e-9)])
        if len(inside) > 2:
            break
    return inside[:: max(1, -(-len(inside) // _MOST_TICKS))]


def _decimals(values: Floats) -> int:
    """Digits behind the point that tell evenly spaced values apart."""
    step = float(values[1] - values[0]) if len(values) > 1 else 0.001
    return max(0, -math.floor(math.log10(step) + 1e-9))


def parallel_figure(data: pd.DataFrame, choice: Choice) -> Spec:
    """A line per configuration over one upright axis per setting and, on the right, the score; all plain SVG lines."""
    names = settings_of(data)
    score = METRIC_NAMES[choice.score]  # type: ignore[index]  # a key of METRIC_NAMES
    scales = [scale_of(data[name].tolist()) for name in names]
    scales.append(score_scale(data["mean"].to_numpy(dtype=float), choice.score == "loss"))
    titles = [*(NAMES[name] for name in names), f"valid {score.lower()}"]
    heights = np.stack([scale.places for scale in scales], axis=1)
    # from the worst to the best, so that good ones lie on top
    traces = [
        _lines(heights[part], colour, 1.0 if place < len(SHADES) - 1 else 1.4)
        for place, (part, colour) in enumerate(zip(_shades(len(data)), SHADES, strict=True))
        if len(part)
    ]
    traces.append({**_lines(heights[:1], VALID, 2.6), "name": "best", "showlegend": True})
    traces.append(_ends(data, heights[:, -1], float(len(names)), score))
    notes, shapes = _axes(scales)
    across = axis(
        tickvals=list(range(len(titles))),
        ticktext=[plot_text(title) for title in titles],
        range=[-0.5, len(names) + 0.25],
        side="top",
        tickangle=0,
        showgrid=False,
        showline=False,
        fixedrange=True,
    )
    spec = layout(
        380,
        xaxis={**across, "color": INK},
        yaxis=axis(range=[-0.05, 1.05], showgrid=False, showline=False, showticklabels=False, fixedrange=True),
        shapes=shapes,
        annotations=notes,
        meta=WIDE,
    )
    return {"data": traces, "layout": {**spec, "margin": {"l": 24, "r": 24, "t": 40, "b": 16}}}


def slices_figure(data: pd.DataFrame, choice: Choice) -> Spec:
    """A panel per setting: the score of every configuration against the setting's value, the best one marked."""
    names = settings_of(data)
    score = METRIC_NAMES[choice.score]  # type: ignore[index]  # a key of METRIC_NAMES
    down = score_scale(data["mean"].to_numpy(dtype=float), choice.score == "loss")
    words = _words(data, score)
    across = min(SLICES_ACROSS, len(names))
    rows = -(-len(names) // across)
    spec = layout(60 + 230 * rows, showlegend=True, legend=legend())
    traces: list[Spec] = []
    gap_x, gap_y = 0.05, 0.26 / rows
    height = (1 - gap_y * (rows - 1)) / rows
    for number, name in enumerate(names):
        row, column = divmod(number, across)
        suffix = "" if number == 0 else str(number + 1)
        scale = scale_of(data[name].tolist())
        spec[f"xaxis{suffix}"] = axis(
            domain=[column / across + (gap_x if column else 0) / 2, (column + 1) / across - gap_x / 2],
            anchor=f"y{suffix}",
            range=[-0.08, 1.08],
            tickvals=scale.ticks,
            ticktext=scale.names,
            title={"text": NAMES[name], "standoff": 6},
        )
        spec[f"yaxis{suffix}"] = axis(
            domain=[max(0.0, 1 - row * (height + gap_y) - height), 1 - row * (height + gap_y)],
            anchor=f"x{suffix}",
            range=[-0.06, 1.06],
            tickvals=down.ticks,
            ticktext=down.names if column == 0 else [""] * len(down.names),
            title={"text": f"valid {score.lower()}" if column == 0 else ""},
        )
        for part, label, marker in (
            (slice(1, None), "one configuration", {"size": 6, "color": TRAIN, "opacity": 0.6, "symbol": "circle-open"}),
            (slice(0, 1), "best mean", {"size": 11, "color": VALID, "symbol": "diamond"}),
        ):
            traces.append(
                {
                    "type": "scatter",
                    "mode": "markers",
                    "name": label,
                    "legendgroup": label,
                    "showlegend": number == 0,
                    "x": scale.places[part],
                    "y": down.places[part],
                    "text": words[part],
                    "marker": marker,
                    "hovertemplate": "%{text}<extra></extra>",
                    "xaxis": f"x{suffix}",
                    "yaxis": f"y{suffix}",
                }
            )
    return {"data": traces, "layout": {**spec, "margin": {"l": 64, "r": 12, "t": 34, "b": 44}}}


def importance_figure(data: pd.DataFrame, choice: Choice) -> Spec:
    """A bar per setting, the most important on top, its share written at its end, a tick where chance reaches."""
    shares = data["share"].to_numpy(dtype=float)
    trace = {
        "type": "bar",
        "orientation": "h",
        "name": "explained alone",
        "x": shares,
        "y": list(range(len(data))),
        "marker": {"color": TRAIN},
        "text": [f"{share:.0%}" for share in shares],
        "textposition": "outside",
        "cliponaxis": False,
        "customdata": data["bins"].to_numpy(),
        "hovertemplate": "%{x:.1%} of the variance, over %{customdata} groups of values<extra></extra>",
    }
    by_chance = data["by_chance"].to_numpy(dtype=float)
    ticks = {
        "type": "scatter",
        "mode": "markers",
        "name": "reached by chance in 1 of 20",
        "x": by_chance,
        "y": list(range(len(data))),
        "marker": {"symbol": "line-ns-open", "size": 18, "color": VALID, "line": {"width": 2}},
        "hovertemplate": "by chance %{x:.1%} in 1 of 20<extra></extra>",
    }
    down = axis(tickvals=list(range(len(data))), ticktext=data["setting"].tolist(), showgrid=False)
    top = max(0.1, float(max(shares.max(), by_chance.max())) * 1.12)
    across = axis(title={"text": "share of the variance explained alone"}, tickformat=".0%", range=[0, top], nticks=6)
    down |= {"color": INK, "range": [len(data) - 0.4, -0.6]}
    spec = layout(
        110 + 30 * len(data), xaxis=across, yaxis=down, bargap=0.4, showlegend=True, legend=legend(traceorder="normal")
    )
    return {"data": [trace, ticks], "layout": {**spec, "margin": {"l": 56, "r": 48, "t": 34, "b": 44}}}


def parallel_width(data: pd.DataFrame) -> int:
    """Pixels that parallel coordinates need."""
    return AXIS_WIDTH * (len(settings_of(data)) + 1)


def _shades(count: int) -> list[NDArray[np.int64]]:
    """Places of the rows by shade, the worst first; rows come best first."""
    return [np.asarray(part, dtype=np.int64) for part in np.array_split(np.arange(count)[::-1], len(SHADES))]


def _lines(heights: Floats, colour: str, width: float) -> Spec:
    """Many lines as one trace, with gaps between them."""
    count, stops = heights.shape
    x = np.tile(np.append(np.arange(stops, dtype=float), math.nan), count)
    y = np.concatenate([heights, np.full((count, 1), math.nan)], axis=1).ravel()
    return {
        "type": "scatter",
        "mode": "lines",
        "x": x,
        "y": y,
        "line": {"color": colour, "width": width},
        "hoverinfo": "skip",
        "showlegend": False,
    }


def _ends(data: pd.DataFrame, heights: Floats, x: float, score: str) -> Spec:
    """The right ends of the lines, which answer to the pointer."""
    return {
        "type": "scatter",
        "mode": "markers",
        "x": np.full(len(data), x),
        "y": heights,
        "text": _words(data, score),
        "marker": {"size": 6, "color": PAPER, "line": {"color": INK, "width": 1.1}},
        "hovertemplate": "%{text}<extra></extra>",
        "showlegend": False,
    }


def _axes(scales: Sequence[Scale]) -> tuple[list[Spec], list[Spec]]:
    """Numbers beside the upright axes, and the axes themselves."""
    notes: list[Spec] = []
    shapes: list[Spec] = []
    for x, scale in enumerate(scales):
        shapes.append({"type": "line", "x0": x, "x1": x, "y0": 0, "y1": 1, "line": {"color": MUTED, "width": 1}})
        for y, name in zip(scale.ticks, scale.names, strict=True):
            notes.append(
                {
                    "x": x,
                    "y": y,
                    "text": name,
                    "showarrow": False,
                    "xanchor": "right",
                    "xshift": -5,
                    "bgcolor": PAPER,
                    "borderpad": 1,
                    "opacity": 0.92,
                    "font": {"size": 10, "color": INK},
                }
            )
    return notes, shapes


def _words(data: pd.DataFrame, score: str) -> list[str]:
    names = settings_of(data)
    found = []
    for row in data.to_dict("records"):
        settings = "<br>".join(f"{NAMES[name]} {plot_text(_shown(row[name]))}" for name in names)
        std = f" ± {row['std']:.4f}" if math.isfinite(row["std"]) else ""
        found.append(f"{settings}<br>valid {score.lower()} {row['mean']:.4f}{std}, n = {row['n']}")
    return found


def _shown(value: Any) -> str:
    return _number(float(value)) if isinstance(value, (int, float)) else str(value)


def _number(value: float) -> str:
    return _power(value) if value and abs(value) < 0.01 else f"{value:.3g}"


def _power(value: float) -> str:
    mantissa, _, exponent = lr_text(value).partition("e")
    return f"{float(mantissa):.2g}e{exponent}"


def _cut(name: str) -> str:
    return name if len(name) <= 18 else f"{name[:17]}…"
