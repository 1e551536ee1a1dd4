"""How many images of each class are always, sometimes and never predicted right on validation."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from dashboards.figures.choice import Choice, Source
from dashboards.figures.declaration import Figure, OnPage, Per
from dashboards.figures.markup import in_lines, plot_text
from dashboards.figures.palette import INK, PAPER, SERIES, UNTRAINED, VALID, Spec, axis, layout, legend

PARTS = {"always": ("always right", SERIES[2]), "sometimes": ("sometimes", UNTRAINED), "never": ("never", VALID)}
COLUMNS = ["class", "images", "groups", *PARTS, "wrong", "mostly_called"]
_LETTERS = 20


def standing_data(source: Source, choice: Choice) -> pd.DataFrame:
    """One row per class, COLUMNS; empty before `orch mistakes`. wrong: share of the first one's predictions."""
    record = source.mistakes
    rows = [
        (one.label, one.images, one.groups, one.always, one.sometimes, one.never, one.error, one.mostly_called)
        for one in (record.classes if record is not None else ())
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def standing_figure(data: pd.DataFrame, choice: Choice) -> Spec:
    """A bar per class of its images' shares, with their numbers."""
    rows = data.to_dict("records")
    places = np.arange(len(data))
    traces = [
        {
            "type": "bar",
            "orientation": "h",
            "name": label,
            "x": (data[part] / data["images"]).to_numpy(dtype=float),
            "y": places,
            "text": [str(count) if count else "" for count in data[part]],
            "hovertext": [_words(row, part, label) for row in rows],
            "textposition": "inside",
            "insidetextanchor": "middle",
            "textangle": 0,
            "insidetextfont": {"color": PAPER, "size": 12},
            "marker": {"color": colour},
            "hovertemplate": "%{hovertext}<extra></extra>",
        }
        for part, (label, colour) in PARTS.items()
    ]
    names = [in_lines(name, _LETTERS) for name in data["class"]]
    spec = layout(
        100 + 34 * len(data),
        barmode="stack",
        bargap=0.3,
        xaxis=axis(title={"text": "share of the class’s images"}, range=[0, 1], tickformat=".0%"),
        yaxis={**axis(tickvals=places, ticktext=names, showgrid=False, range=[len(data) - 0.5, -0.5]), "color": INK},
        uniformtext={"mode": "hide", "minsize": 10},
        showlegend=True,
        legend=legend(traceorder="normal"),
        hovermode="closest",
    )
    return {"data": traces, "layout": {**spec, "margin": {"l": 56, "r": 14, "t": 34, "b": 44}}}


def _words(row: Mapping[Hashable, Any], part: str, label: str) -> str:
    said = f"{plot_text(row['class'])}: {row[part]} of {row['images']} images {label}; {row['groups']} groups in all"
    return said + (f"<br>mostly called {plot_text(row['mostly_called'])}" if row["mostly_called"] else "")


FIGURE = Figure(
    name="standings",
    section="errors",
    title="Always, sometimes and never right",
    reading="Validation images by how many of their predictions are right, over all repeats of the configurations "
    "above; the numbers count images. Images that are never right may be hard, rare or labelled wrong.",
    data=standing_data,
    draw=standing_figure,
    label=lambda data, choice: "Shares of each class’s images that are always, sometimes and never predicted right.",
    per=Per.STUDY,
    scores=(),
    page=OnPage(min_width=420),
)
