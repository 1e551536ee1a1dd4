"""Slices of the images: how often each is wrong, with its interval, beside what its classes explain."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from dashboards.figures.choice import Choice, Source
from dashboards.figures.declaration import Figure, OnPage, Per
from dashboards.figures.markup import plot_text
from dashboards.figures.palette import INK, MUTED, TRAIN, VALID, Spec, axis, layout, legend

MOST = 40
"""Slices drawn: those with the smallest p, in their order."""
COLUMNS = [
    "property", "value", "images", "groups", "wrong", "low", "high", "its_classes", "p", "p_corrected", "worse",
]  # fmt: skip


def slice_data(source: Source, choice: Choice) -> pd.DataFrame:
    """One row per slice, COLUMNS; NaN where there is no interval or no p. Empty before `orch mistakes`."""
    record = source.mistakes
    rows = [
        (
            *(one.name, one.value, one.images, one.groups, one.error, one.low, one.high),
            *(one.expected, one.p, one.corrected, one.is_worse),
        )
        for one in (record.slices if record is not None else ())
    ]
    data = pd.DataFrame(rows, columns=COLUMNS)
    return data.astype(dict.fromkeys(("low", "high", "p", "p_corrected"), float))


def slice_figure(data: pd.DataFrame, choice: Choice) -> Spec:
    """A row per slice: its share of wrong predictions and interval, and an open mark for what its classes explain."""
    drawn = data.loc[data["p"].fillna(2.0).sort_values(kind="stable").head(MOST).index.sort_values()]
    drawn = drawn.reset_index(drop=True)
    rows, places = drawn.to_dict("records"), np.arange(len(drawn))
    worse = drawn["worse"].to_numpy(dtype=bool)
    words = [
        f"{plot_text(row['property'])} {plot_text(row['value'])}: {row['wrong']:.1%} wrong, its classes "
        f"{row['its_classes']:.1%}<br>{row['images']} images of {row['groups']} groups"
        + ("" if math.isnan(row["p"]) else f", p {row['p']:.3g}, corrected {row['p_corrected']:.3g}")
        for row in rows
    ]
    traces: list[Spec] = []
    for name, chosen, colour, symbol in (
        ("wrong, 95 % over groups", ~worse, TRAIN, "circle"),
        ("worse than chance explains", worse, VALID, "diamond"),
    ):
        if not chosen.any():
            continue
        part = drawn[chosen]
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": name,
                "x": part["wrong"].to_numpy(dtype=float),
                "y": places[chosen],
                "error_x": {
                    "type": "data",
                    "symmetric": False,
                    "array": (part["high"] - part["wrong"]).clip(lower=0).to_numpy(dtype=float),
                    "arrayminus": (part["wrong"] - part["low"]).clip(lower=0).to_numpy(dtype=float),
                    "color": colour,
                    "thickness": 1.4,
                    "width": 3,
                },
                "text": [words[place] for place in places[chosen]],
                "marker": {"size": 8, "color": colour, "symbol": symbol},
                "hovertemplate": "%{text}<extra></extra>",
            }
        )
    traces.append(
        {
            "type": "scatter",
            "mode": "markers",
            "name": "its classes",
            "x": drawn["its_classes"].to_numpy(dtype=float),
            "y": places,
            "text": words,
            "marker": {"size": 9, "color": MUTED, "symbol": "line-ns-open", "line": {"width": 2}},
            "hovertemplate": "%{text}<extra></extra>",
        }
    )
    names = [plot_text(f"{row['property']}: {row['value']} ({row['images']} in {row['groups']})") for row in rows]
    down = axis(tickvals=places, ticktext=names, range=[len(rows) - 0.4, -0.6], showgrid=False)
    spec = layout(
        100 + 24 * len(rows),
        xaxis=axis(title={"text": "share of wrong predictions"}, range=[-0.02, 1.02], tickformat=".0%"),
        yaxis={**down, "color": INK},
        showlegend=True,
        legend=legend(),
        hovermode="closest",
    )
    return {"data": traces, "layout": {**spec, "margin": {"l": 56, "r": 14, "t": 34, "b": 44}}}


FIGURE = Figure(
    name="image-slices",
    section="errors",
    title="Slices of the images",
    reading="The share of the first configuration’s predictions that are wrong, averaged over the images of a slice; "
    "images and groups are in brackets. The upright line is how often images of the same classes are wrong overall: "
    "the classes do not explain what lies beyond it.",
    how="Slices are tested by flipping the signs of whole groups, at 5 % for all slices together (Holm). Slices of "
    "fewer than 5 groups are not tested.",
    data=slice_data,
    draw=slice_figure,
    label=lambda data, choice: "Share of wrong predictions in each slice of the images, with 95 % intervals.",
    per=Per.STUDY,
    scores=(),
    page=OnPage(min_width=520),
)
