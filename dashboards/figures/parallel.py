"""Parallel coordinates of a search off a grid, as plain lines, of all or of the best; axes can be narrowed on a page.

Plotly's own kind of trace draws with WebGL and makes functions from text, which the page's policy refuses.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dashboards.figures.choice import BEST, Choice, Source, is_loss
from dashboards.figures.declaration import Control, Figure, OnPage, Per
from dashboards.figures.markup import METRIC_NAMES, plot_text
from dashboards.figures.palette import HEAT, INK, MUTED, PAPER, VALID, WIDE, Spec, axis, layout
from dashboards.figures.scales import Scale, scale_of, score_scale
from dashboards.figures.search_settings import (
    CONTROL,
    NAMES,
    row_words,
    search_data,
    searched,
    settings_of,
    stopped_sentence,
)

AXIS_WIDTH = 118
"""Pixels from one parallel axis to the next; with more than fit, the figure scrolls sideways."""
SHADES = HEAT[1:]
BEST_CONTROL = Control("best", "Parallel coordinates of", BEST, sets="best")

Floats = NDArray[np.float64]


def parallel_data(source: Source, choice: Choice) -> pd.DataFrame:
    """Rows of `search_data` with the best scores: of k % so many that none better is left out, two at least."""
    data = search_data(source, choice)
    if choice.best == "all":
        return data
    return data.iloc[: max(2, math.ceil(len(data) * int(choice.best) / 100))]


def parallel_figure(data: pd.DataFrame, choice: Choice) -> Spec:
    """A line per configuration over one upright axis per setting and, on the right, the score; all plain SVG lines.

    `meta` of the lines says whose they are and which column each axis shows, by which the page's script narrows them.
    """
    names = settings_of(data)
    score = METRIC_NAMES[choice.score]
    scales = [scale_of(name, data[name].tolist()) for name in names]
    scales.append(score_scale(data["mean"].to_numpy(dtype=float), is_loss(choice.score)))
    titles = [*(NAMES[name] for name in names), f"valid {score.lower()}"]
    heights = np.stack([scale.places for scale in scales], axis=1)
    ids = data["id"].to_numpy(dtype=object)
    axes = {**{name: name for name in names}, f"valid_{choice.score}": "mean"}
    # from the worst to the best, so that good ones lie on top
    traces = [
        _lines(heights[part], ids[part], axes, colour, 1.0 if place < len(SHADES) - 1 else 1.4)
        for place, (part, colour) in enumerate(zip(_shades(len(data)), SHADES, strict=True))
        if len(part)
    ]
    traces.append({**_lines(heights[:1], ids[:1], axes, VALID, 2.6), "name": "best", "showlegend": True})
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


def parallel_width(data: pd.DataFrame) -> int:
    """Pixels that parallel coordinates need."""
    return AXIS_WIDTH * (len(settings_of(data)) + 1)


def _shades(count: int) -> list[NDArray[np.int64]]:
    """Places of the rows by shade, the worst first; rows come best first."""
    return [np.asarray(part, dtype=np.int64) for part in np.array_split(np.arange(count)[::-1], len(SHADES))]


def _lines(heights: Floats, ids: NDArray[np.object_], axes: dict[str, str], colour: str, width: float) -> Spec:
    """Many lines as one trace, with gaps between them; ids: whose they are; axes: name → column of the table."""
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
        "meta": {"ids": ids.tolist(), "each": stops + 1, "axes": axes},
    }


def _ends(data: pd.DataFrame, heights: Floats, x: float, score: str) -> Spec:
    """The right ends of the lines, which answer to the pointer."""
    return {
        "type": "scatter",
        "mode": "markers",
        "x": np.full(len(data), x),
        "y": heights,
        "text": row_words(data, score),
        "meta": {"ids": data["id"].tolist()},
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


def _label(data: pd.DataFrame, choice: Choice) -> str:
    of = "" if choice.best == "all" else f", {BEST[choice.best]} of them by {METRIC_NAMES[choice.score].lower()}"
    return f"Parallel coordinates: a line per configuration over its settings and its validation score{of}."


def _how(source: Source, choice: Choice) -> str:
    """How an axis is narrowed, on a page alone."""
    how = (
        " Drag along an axis, or move its ends, to keep only the configurations between them; click on the axis to let "
        "go. Click on a line’s right end to mark its configuration in all figures."
    )
    return how + stopped_sentence(source, choice)


def _fills_its_grid(source: Source, choice: Choice) -> str:
    if searched(source, choice):
        return ""
    return "The heat maps show every configuration of this backbone."


FIGURE = Figure(
    name="parallel",
    section="search",
    title="Parallel coordinates",
    reading="Each line is one configuration: its height on an axis is the value of that setting, on the last axis its "
    "mean validation score over n repeats at the selected epochs, better on top. Stronger lines are in a better fifth "
    "of those shown; the thick line is the best mean.",
    how="Scores far worse than most stand at the foot, with their number in brackets.",
    data=parallel_data,
    draw=parallel_figure,
    label=_label,
    per=Per.BACKBONE,
    scores=tuple(METRIC_NAMES),
    best=tuple(BEST),
    page=OnPage(controls=(CONTROL, BEST_CONTROL), min_width=parallel_width, absent=_fills_its_grid, how=_how),
)
