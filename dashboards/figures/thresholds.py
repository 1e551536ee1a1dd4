"""Curves over all thresholds on the test split: ROC, and precision against recall."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd

from dashboards.figures.choice import Choice, Source
from dashboards.figures.declaration import Figure, Form, OnPage, Per
from dashboards.figures.evaluations import chances_of, newest
from dashboards.figures.markup import deviations, plot_text
from dashboards.figures.palette import INK, MUTED, Spec, axis, layout, legend, series_style

GRID = np.linspace(0, 1, 101)


def threshold_data(source: Source, choice: Choice, curve: str) -> pd.DataFrame:
    """Curves over all thresholds of each class against the rest, averaged over repeats at 101 places.

    curve: "roc" (x is 1 − specificity, y sensitivity) or "pr" (x is recall, y precision). Columns: class, x, y, std
    (over repeats), repeats, and kind: "curve", or "point" for an operating point that was chosen on validation. Of a
    binary task only the positive class.
    """
    columns = ["class", "kind", "x", "y", "std", "repeats"]
    record = newest(source, choice)
    predictions = chances_of(source, record) if record is not None else None
    if record is None or predictions is None:
        return pd.DataFrame(columns=columns)
    chances, truth, repeat = predictions
    blocks = []
    for place, name in enumerate(record.classes):
        if len(record.classes) == 2 and place == 0:
            continue
        lines = []
        for number in np.unique(repeat):
            here = repeat == number
            line = _line(chances[here, place], truth[here] == place, curve)
            if line is not None:
                lines.append(line)
        if lines:
            std = np.std(lines, axis=0, ddof=1) if len(lines) > 1 else np.full(len(GRID), np.nan)
            block = {"class": name, "kind": "curve", "x": GRID, "y": np.mean(lines, axis=0), "std": std}
            blocks.append(pd.DataFrame({**block, "repeats": len(lines)}))
    for point in record.operating_points:
        sensitivity, other = (
            point.scores.get("sensitivity"),
            point.scores.get("specificity" if curve == "roc" else "ppv"),
        )
        if sensitivity and other and sensitivity.value is not None and other.value is not None:
            x, y = (1 - other.value, sensitivity.value) if curve == "roc" else (sensitivity.value, other.value)
            row = {
                "class": point.name,
                "kind": "point",
                "x": [x],
                "y": [y],
                "std": np.nan,
                "repeats": sensitivity.repeats,
            }
            blocks.append(pd.DataFrame(row))
    return pd.concat(blocks, ignore_index=True)[columns] if blocks else pd.DataFrame(columns=columns)


def _line(score: np.ndarray, positive: np.ndarray, curve: str) -> np.ndarray | None:
    """One repeat's curve on GRID; equal scores are one step."""
    if positive.all() or not positive.any():
        return None
    order = np.argsort(-score, kind="stable")
    ranked, hits = score[order], positive[order].astype(float)
    last = np.append(ranked[1:] != ranked[:-1], True)
    true, false = np.cumsum(hits)[last], np.cumsum(1 - hits)[last]
    recall = true / true[-1]
    if curve == "roc":
        along: np.ndarray = np.interp(GRID, np.append(0.0, false / false[-1]), np.append(0.0, recall))
        return along
    precision = true / (true + false)
    # the precision at a recall is the best at that recall or more
    best = np.maximum.accumulate(precision[::-1])[::-1]
    precisions: np.ndarray = best[np.minimum(np.searchsorted(recall, GRID - 1e-12), len(best) - 1)]
    return precisions


def threshold_figure(data: pd.DataFrame, choice: Choice, curve: str) -> Spec:
    """A line per class; rings are operating points."""
    traces: list[Spec] = []
    if curve == "roc":
        chance = {"type": "scatter", "mode": "lines", "name": "chance", "x": [0, 1], "y": [0, 1], "hoverinfo": "skip"}
        traces.append({**chance, "line": {"color": MUTED, "width": 1, "dash": "dash"}})
    for place, (name, part) in enumerate(data[data["kind"] == "curve"].groupby("class", sort=False)):
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": plot_text(name),
                "x": part["x"].to_numpy(),
                "y": part["y"].to_numpy(),
                "customdata": deviations(part["std"], 3),
                "line": {"width": 1.9, **series_style(place)},
                "hovertemplate": f"{plot_text(name)}<br>%{{x:.2f}}, %{{y:.3f}}%{{customdata}}<extra></extra>",
            }
        )
    points = data[data["kind"] == "point"]
    if len(points):
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": "operating point",
                "x": points["x"].to_numpy(dtype=float),
                "y": points["y"].to_numpy(dtype=float),
                "text": [plot_text(name) for name in points["class"]],
                "marker": {"size": 12, "symbol": "circle-open", "color": INK, "line": {"width": 2}},
                "hovertemplate": "operating point, %{text}<br>%{x:.3f}, %{y:.3f}<extra></extra>",
            }
        )
    across, up = ("1 − specificity", "sensitivity") if curve == "roc" else ("recall", "precision")
    spec = layout(
        380,
        xaxis=axis(title={"text": across}, range=[-0.02, 1.02], nticks=6),
        yaxis=axis(title={"text": up}, range=[-0.02, 1.04], nticks=6),
        showlegend=True,
        legend=legend(),
    )
    return {"data": traces, "layout": {**spec, "margin": {"l": 56, "r": 12, "t": 56, "b": 44}}}


ROC = Figure(
    name="roc",
    section="test",
    title="ROC curves",
    reading="Each class against the rest: sensitivity averaged over n repeats. Rings are operating points chosen on "
    "validation.",
    data=partial(threshold_data, curve="roc"),
    draw=partial(threshold_figure, curve="roc"),
    label=lambda data, choice: "ROC curves, one class against the rest.",
    per=Per.PARTITION,
    by_class=True,
    page=OnPage(form=Form.PANEL, min_width=300, saved=lambda data, choice: "Test: roc curves"),
)
PRECISION_RECALL = Figure(
    name="precision-recall",
    section="test",
    title="Precision and recall",
    reading="Each class against the rest: precision averaged over n repeats, the best at that recall or more.",
    data=partial(threshold_data, curve="pr"),
    draw=partial(threshold_figure, curve="pr"),
    label=lambda data, choice: "Precision-recall curves, one class against the rest.",
    per=Per.PARTITION,
    by_class=True,
    page=OnPage(form=Form.PANEL, min_width=300, saved=lambda data, choice: "Test: precision and recall"),
)
