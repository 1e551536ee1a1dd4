"""Where repeats end: how many of them at which validation accuracy and loss (as in figure C.3)."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dashboards.figures.choice import Choice, Source
from dashboards.figures.declaration import Figure, OnPage, Per
from dashboards.figures.limits import ends
from dashboards.figures.palette import HEAT, UNTRAINED, Spec, axis, layout
from dashboards.figures.untrained import FOLDED

BINS = 32


def density_data(source: Source, choice: Choice) -> pd.DataFrame:
    """Counts of repeats by validation accuracy and loss at the selected epoch (C.3); bins without a repeat left out.

    Columns: accuracy_low, accuracy_high, loss_low, loss_high, repeats. Losses above 99 % of all count in the last bin.
    """
    columns = ["accuracy_low", "accuracy_high", "loss_low", "loss_high", "repeats"]
    pairs = [
        np.stack([accuracy.values, loss.values], axis=1)
        for member in source.members(choice)
        if (accuracy := member.score("accuracy", "valid")) and (loss := member.score("loss", "valid"))
    ]
    values = np.concatenate(pairs) if pairs else np.zeros((0, 2))
    values = values[np.isfinite(values).all(axis=1)]
    if not len(values):
        return pd.DataFrame(columns=columns)
    tops = values[:, 0].max(), np.quantile(values[:, 1], 0.99)
    edges = [
        np.linspace(*ends(float(low), float(top)), BINS + 1) for low, top in zip(values.min(axis=0), tops, strict=True)
    ]
    counts, *_ = np.histogram2d(values[:, 0], values[:, 1].clip(None, edges[1][-1]), bins=edges)
    across, up = np.nonzero(counts)
    return pd.DataFrame(
        {
            "accuracy_low": edges[0][across],
            "accuracy_high": edges[0][across + 1],
            "loss_low": edges[1][up],
            "loss_high": edges[1][up + 1],
            "repeats": counts[across, up].astype(int),
        }
    )


def density_figure(data: pd.DataFrame, choice: Choice) -> Spec:
    """Accuracy across, loss up; darker where more repeats end."""
    (column, x), (row, y) = (_bins(data, score) for score in ("accuracy", "loss"))
    z = np.full((len(y), len(x)), np.nan)
    z[row, column] = data["repeats"].to_numpy(dtype=float)
    trace = {
        "type": "heatmap",
        "x": x,
        "y": y,
        "z": z,
        "colorscale": [[place / (len(HEAT) - 2), colour] for place, colour in enumerate(HEAT[1:])],
        "colorbar": {
            "title": {"text": "repeats"},
            "thickness": 10,
            "outlinewidth": 0,
            "tickfont": {"color": UNTRAINED},
        },
        "hoverongaps": False,
        "hovertemplate": "accuracy %{x:.3f}, loss %{y:.3f}<br>%{z} repeats<extra></extra>",
    }
    spec = layout(
        380,
        xaxis=axis(title={"text": "valid accuracy"}, nticks=6, showgrid=False),
        yaxis=axis(title={"text": "valid loss"}, nticks=6, showgrid=False),
    )
    return {"data": [trace], "layout": spec}


def _bins(data: pd.DataFrame, score: str) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The number of each row's bin, from the lowest that has a repeat, and the middles of those up to the highest."""
    low, high = (data[f"{score}_{end}"].to_numpy(dtype=float) for end in ("low", "high"))
    width = high[0] - low[0]
    place = np.rint((low - low.min()) / width).astype(np.int64)
    return place, low.min() + width * (np.arange(place.max() + 1) + 0.5)


FIGURE = Figure(
    name="density",
    section="spread",
    title="Density of accuracy and loss",
    reading="All repeats of all configurations on the validation split at their selected epochs; darker means more "
    "repeats. The highest hundredth of the losses is counted in the last bin.",
    data=density_data,
    draw=density_figure,
    label=lambda data, choice: "Density of repeats by validation accuracy and loss.",
    per=Per.BACKBONE,
    by_class=True,
    page=OnPage(min_width=520, folded=FOLDED),
)
