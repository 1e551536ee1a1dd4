"""Confusion on the test split: truth against prediction, of images and of groups."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd

from dashboards.figures.choice import Choice, Source
from dashboards.figures.declaration import Figure, Form, OnPage, Per
from dashboards.figures.evaluations import newest
from dashboards.figures.heat_maps import text_colours
from dashboards.figures.markup import in_lines
from dashboards.figures.palette import HEAT, Spec, axis, layout
from orchestrator.evaluation.record import Level

LETTERS = (15, 16)
"""Of a class's name on one line below a column, and beside a row."""


def confusion_data(source: Source, choice: Choice, unit: str) -> pd.DataFrame:
    """One row per truth and prediction of the primary estimate, `unit` "image" or "group".

    Columns: truth, predicted, count (mean over repeats), share (of the truth's units), repeats.
    """
    columns = ["truth", "predicted", "count", "share", "repeats"]
    record = newest(source, choice)
    level: Level | None = None
    if record is not None:
        level = record.primary.image if unit == "image" else record.primary.group
    if record is None or level is None or not level.confusion:
        return pd.DataFrame(columns=columns)
    counts = np.array(level.confusion, dtype=float)
    mean = counts.mean(axis=0)
    total = mean.sum(axis=1, keepdims=True)
    share = np.divide(mean, total, out=np.full_like(mean, np.nan), where=total > 0)
    rows = [
        (truth, predicted, mean[i, j], share[i, j], len(counts))
        for i, truth in enumerate(record.classes)
        for j, predicted in enumerate(record.classes)
    ]
    return pd.DataFrame(rows, columns=columns)


def confusion_figure(data: pd.DataFrame, choice: Choice) -> Spec:
    """Truth down, prediction across; coloured by the share of the truth, with mean counts."""
    names = list(dict.fromkeys(data["truth"]))
    size = len(names)
    share = data["share"].to_numpy(dtype=float).reshape(size, size)
    count = data["count"].to_numpy(dtype=float).reshape(size, size)
    shown = [
        f"{share[i, j]:.0%}<br>{count[i, j]:.3g}" if count[i].sum() else "" for i in range(size) for j in range(size)
    ]
    heat = {
        "type": "heatmap",
        "z": share,
        "x": list(range(size)),
        "y": list(range(size)),
        "zmin": 0,
        "zmax": 1,
        "colorscale": [[place / (len(HEAT) - 1), colour] for place, colour in enumerate(HEAT)],
        "showscale": False,
        "xgap": 2,
        "ygap": 2,
        "customdata": count,
        "hovertemplate": "%{z:.1%}, %{customdata:.2f} on average<extra></extra>",
    }
    words = {
        "type": "scatter",
        "mode": "text",
        "x": [j for _ in names for j in range(size)],
        "y": [i for i in range(size) for _ in names],
        "text": shown,
        "textfont": {"size": 11, "color": text_colours(share, (0.0, 1.0), HEAT)},
        "hoverinfo": "skip",
        "meta": "on heat map",
    }
    across, down = (
        {"tickvals": list(range(size)), "ticktext": [in_lines(name, letters) for name in names], "showgrid": False}
        for letters in LETTERS
    )
    spec = layout(
        110 + 46 * size,
        xaxis=axis(title={"text": "predicted"}, fixedrange=True, tickangle=0, **across),
        yaxis=axis(title={"text": "truth"}, autorange="reversed", fixedrange=True, **down),
    )
    return {"data": [heat, words], "layout": spec}


IMAGES = Figure(
    name="confusion",
    section="test",
    title="Confusion, images",
    reading="Rows are the true class, columns the predicted one: the share of the true class’s images, and below it "
    "their mean number over n repeats.",
    data=partial(confusion_data, unit="image"),
    draw=confusion_figure,
    label=lambda data, choice: "Confusion matrix with images as the unit.",
    per=Per.PARTITION,
    by_class=True,
    page=OnPage(form=Form.PANEL, min_width=300, saved=lambda data, choice: "Test: confusion, images"),
)
GROUPS = Figure(
    name="confusion-groups",
    section="test",
    title="Confusion, groups",
    reading="The same with groups as the unit. A group’s class is predicted from the mean of its images’ "
    "probabilities.",
    data=partial(confusion_data, unit="group"),
    draw=confusion_figure,
    label=lambda data, choice: "Confusion matrix with groups as the unit.",
    per=Per.PARTITION,
    by_class=True,
    page=OnPage(form=Form.PANEL, min_width=300, saved=lambda data, choice: "Test: confusion, groups"),
)
