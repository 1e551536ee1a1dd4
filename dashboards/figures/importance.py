"""How much of the variance between the configurations of a search off a grid each setting explains alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dashboards.figures.choice import Choice, Source
from dashboards.figures.declaration import Figure, OnPage, Per
from dashboards.figures.markup import METRIC_NAMES
from dashboards.figures.palette import INK, TRAIN, VALID, Spec, axis, layout, legend
from dashboards.figures.search_settings import CONTROL, NAMES, search_data, settings_of, stopped_sentence

Floats = NDArray[np.float64]
LEAST_CONFIGURATIONS = 12
"""With a result, before shares of variance are given."""
MOST_BINS = 6
SHUFFLES = 200


def importance_data(source: Source, choice: Choice) -> pd.DataFrame:
    """Share of the variance between configurations that each setting explains by itself, largest first.

    The scores are replaced by their ranks, so that a few configurations that never learn do not decide. Columns:
    setting, share (0 to 1), by_chance (the share that shuffled scores exceed once in 20 times), bins, configurations.
    Of a setting only configurations count in which it matters; there is no row below LEAST_CONFIGURATIONS of them.
    """
    return importance_of(search_data(source, choice))


def importance_of(data: pd.DataFrame) -> pd.DataFrame:
    """The same of rows as in `search_data`."""
    columns = ["setting", "share", "by_chance", "bins", "configurations"]
    rows = []
    for name in settings_of(data):
        part = data[data[name].notna()]
        if len(part) < LEAST_CONFIGURATIONS:
            continue
        scores, bins = np.asarray(part["mean"].rank(), dtype=np.float64), binned(part[name])
        draw = np.random.default_rng(0)
        shuffled = [explained(draw.permutation(scores), bins) for _ in range(SHUFFLES)]
        by_chance = float(np.quantile(shuffled, 0.95))
        rows.append((NAMES[name], explained(scores, bins), by_chance, int(bins.max()) + 1, len(part)))
    rows.sort(key=lambda row: -row[1])
    return pd.DataFrame(rows, columns=columns)


def binned(values: pd.Series) -> NDArray[np.int64]:
    """Number of each value's bin: its own up to MOST_BINS different values, of a number else a bin of equal counts."""
    codes = np.unique(values.to_numpy(dtype=object if values.dtype == object else None), return_inverse=True)[1]
    if codes.max() < MOST_BINS or not pd.api.types.is_numeric_dtype(values):
        return np.asarray(codes, dtype=np.int64)
    order = pd.Series(values).rank(method="average", pct=True).to_numpy()
    cut = np.minimum((order * MOST_BINS - 1e-9).astype(int), MOST_BINS - 1)
    return np.asarray(np.unique(cut, return_inverse=True)[1], dtype=np.int64)


def explained(scores: Floats, bins: NDArray[np.int64]) -> float:
    """ε² of a one-way analysis of variance (Kelley 1935): the share of variance between bins, less what chance gives.

    ε² = (SS(between) − (bins − 1) · MS(within)) / SS(total), a negative one as 0. It is the main effect of a functional
    analysis of variance (Hutter and others 2014) with bins in place of a forest; interactions are not in it.
    """
    count, k = len(scores), int(bins.max()) + 1
    total = float(((scores - scores.mean()) ** 2).sum())
    if count <= k or k < 2 or total <= 0:
        return 0.0
    sizes = np.bincount(bins, minlength=k)
    means = np.bincount(bins, scores, minlength=k) / np.maximum(sizes, 1)
    between = float((sizes * (means - scores.mean()) ** 2).sum())
    return max(0.0, (between - (k - 1) * (total - between) / (count - k)) / total)


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


def _absent(source: Source, choice: Choice) -> str:
    has_results = any(len(search_data(source, replace(choice, score=str(score)))) for score in METRIC_NAMES)
    return f"Importance needs {LEAST_CONFIGURATIONS} configurations with a result." if has_results else ""


FIGURE = Figure(
    name="importance",
    section="search",
    title="Importance of settings",
    reading="The share of the variance between configurations (ranks of their mean validation scores) that one setting "
    "explains alone, among those in which it matters: ε² of a one-way analysis of variance over up to six groups of "
    "its values, less what chance gives on average; shuffled scores pass the tick once in 20 times. Interactions are "
    "in no bar, and where a sampler sought good regions a bar describes what was tried there.",
    data=importance_data,
    draw=importance_figure,
    label=lambda data, choice: "Share of the variance between configurations that each setting explains alone.",
    per=Per.BACKBONE,
    scores=tuple(METRIC_NAMES),
    page=OnPage(controls=(CONTROL,), min_width=640, absent=_absent, more=stopped_sentence),
)
