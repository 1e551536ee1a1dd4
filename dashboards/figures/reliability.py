"""Reliability of the predictions on the test split: how often those of a given confidence are right."""

from __future__ import annotations

import numpy as np
import pandas as pd

from dashboards.figures.choice import Choice, Source
from dashboards.figures.declaration import Figure, Form, OnPage, Per
from dashboards.figures.evaluations import chances_of, newest
from dashboards.figures.palette import MUTED, VALID, Spec, axis, layout, legend

BINS = 10


def reliability_data(source: Source, choice: Choice) -> pd.DataFrame:
    """How often predictions of a given confidence are right, all repeats together, in BINS equal bins; none is empty.

    Columns: low, high, confidence (mean), accuracy, predictions.
    """
    columns = ["low", "high", "confidence", "accuracy", "predictions"]
    record = newest(source, choice)
    predictions = chances_of(source, record) if record is not None else None
    if predictions is None:
        return pd.DataFrame(columns=columns)
    chances, truth, _ = predictions
    sure, right = chances.max(axis=1), chances.argmax(axis=1) == truth
    place = np.minimum((sure * BINS).astype(int), BINS - 1)
    rows = [
        (
            b / BINS,
            (b + 1) / BINS,
            float(sure[place == b].mean()),
            float(right[place == b].mean()),
            int((place == b).sum()),
        )
        for b in range(BINS)
        if (place == b).any()
    ]
    return pd.DataFrame(rows, columns=columns)


def reliability_figure(data: pd.DataFrame, choice: Choice) -> Spec:
    """On the dashed line a confidence is what it says; marks grow with the number of predictions."""
    most = float(data["predictions"].max())
    dots = {
        "type": "scatter",
        "mode": "lines+markers",
        "name": "predictions",
        "x": data["confidence"].to_numpy(dtype=float),
        "y": data["accuracy"].to_numpy(dtype=float),
        "customdata": data["predictions"].tolist(),
        "line": {"color": VALID, "width": 1.4},
        "marker": {"color": VALID, "size": [6 + 14 * (n / most) ** 0.5 for n in data["predictions"]]},
        "hovertemplate": "confidence %{x:.3f}, right %{y:.3f}<br>%{customdata} predictions<extra></extra>",
    }
    ideal = {"type": "scatter", "mode": "lines", "name": "calibrated", "x": [0, 1], "y": [0, 1], "hoverinfo": "skip"}
    low = max(0.0, float(data["low"].min()) - 0.05)
    spec = layout(
        380,
        xaxis=axis(title={"text": "confidence"}, range=[low, 1.02], nticks=6),
        yaxis=axis(title={"text": "share right"}, range=[-0.02, 1.04], nticks=6),
        showlegend=True,
        legend=legend(),
    )
    spec |= {"margin": {"l": 56, "r": 12, "t": 56, "b": 44}}
    return {"data": [{**ideal, "line": {"color": MUTED, "width": 1, "dash": "dash"}}, dots], "layout": spec}


FIGURE = Figure(
    name="reliability",
    section="test",
    title="Reliability",
    reading="Predictions of all repeats in ten bins of confidence; larger marks hold more predictions. On the dashed "
    "line, confidence equals the share that is right.",
    data=reliability_data,
    draw=reliability_figure,
    label=lambda data, choice: "Reliability diagram of the test predictions.",
    per=Per.PARTITION,
    by_class=True,
    page=OnPage(form=Form.PANEL, min_width=300, saved=lambda data, choice: "Test: reliability"),
)
