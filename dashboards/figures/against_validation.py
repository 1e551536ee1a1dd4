"""What validation promised and what the test split showed, of every evaluated configuration."""

from __future__ import annotations

import numpy as np
import pandas as pd

from dashboards.figures.choice import Choice, Source
from dashboards.figures.declaration import Figure, Form, OnPage, Per
from dashboards.figures.evaluations import evaluations
from dashboards.figures.markup import METRIC_NAMES, plot_text
from dashboards.figures.palette import INK, SERIES, VALID, Spec, axis, layout, legend
from orchestrator.store.schema import Metric

SCORES: tuple[Metric, ...] = ("accuracy", "balanced_accuracy", "macro_f1")


def against_validation_data(source: Source, choice: Choice) -> pd.DataFrame:
    """Validation and test of every evaluated configuration, mean and std over repeats.

    Columns: configuration, score, split, mean, std, low, high (95 % interval over groups, test only), repeats.
    """
    rows = []
    members = {(member.partition, member.id): member for member in source.summary.configurations}
    for record in evaluations(source, choice):
        member = members.get((record.partition, record.configuration))
        for score in SCORES:
            valid = member.score(score, "valid") if member else None
            if valid:
                rows.append((record.name, score, "valid", valid.mean, valid.std, np.nan, np.nan, valid.n))
            test = record.primary.image.overall.get(score)
            if test and test.value is not None:
                ends = (test.interval.low, test.interval.high) if test.interval else (np.nan, np.nan)
                std = np.nan if test.std is None else test.std
                rows.append((record.name, score, "test", test.value, std, *ends, test.repeats))
    return pd.DataFrame(rows, columns=["configuration", "score", "split", "mean", "std", "low", "high", "repeats"])


def against_validation_figure(data: pd.DataFrame, choice: Choice) -> Spec:
    """A row per configuration, named where there are several, and score: validation with ± std, test with its interval
    over groups."""
    rows = list(dict.fromkeys(zip(data["configuration"], data["score"], strict=True)))
    traces: list[Spec] = []
    for split, colour, symbol, shift in (("valid", VALID, "circle", -0.14), ("test", SERIES[4], "diamond", 0.14)):
        part = data[data["split"] == split].to_dict("records")
        if not part:
            continue
        high = [row["high"] - row["mean"] if row["high"] == row["high"] else row["std"] for row in part]
        low = [row["mean"] - row["low"] if row["low"] == row["low"] else row["std"] for row in part]
        bars = {"type": "data", "symmetric": False, "array": _known(high), "arrayminus": _known(low), "width": 4}
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": split,
                "x": [row["mean"] for row in part],
                "y": [rows.index((row["configuration"], row["score"])) + shift for row in part],
                "error_x": {**bars, "thickness": 1.4},
                "marker": {"size": 10, "symbol": symbol, "color": colour},
                "hovertemplate": f"{split} %{{x:.4f}}<extra></extra>",
            }
        )
    several = data["configuration"].nunique() > 1
    # a long name takes the room of the figure: its backbone has a line of its own
    heads = ["".join(f"{plot_text(part)}<br>" for part in name.split(" ", 1)) if several else "" for name, _ in rows]
    names = [f"{head}{METRIC_NAMES[score]}" for head, (_, score) in zip(heads, rows, strict=True)]
    y = axis(tickvals=list(range(len(rows))), ticktext=names, range=[len(rows) - 0.4, -0.6], showgrid=False)
    spec = layout(
        90 + (54 if several else 42) * len(rows),
        xaxis=axis(nticks=4, tickangle=0),
        yaxis={**y, "color": INK},
        showlegend=True,
        legend=legend(),
    )
    return {"data": traces, "layout": {**spec, "margin": {"l": 56, "r": 14, "t": 34, "b": 30}}}


def _known(values: list[float]) -> list[float]:
    return [value if value == value else 0.0 for value in values]


FIGURE = Figure(
    name="against-validation",
    section="test",
    title="Validation against test",
    reading="Validation: mean ± standard deviation over n repeats; it was used for selection, so it is optimistic. "
    "Test: mean over the same repeats with its 95 % interval over groups, or ± standard deviation where there is none.",
    data=against_validation_data,
    draw=against_validation_figure,
    label=lambda data, choice: "Validation against test.",
    per=Per.PARTITION,
    by_class=True,
    page=OnPage(form=Form.PANEL, min_width=300, saved=lambda data, choice: "Test: validation against test"),
)
