"""Rows of configurations with a dot for every repeat, train above valid: what the answer and the spread draw."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dashboards.markup import METRIC_NAMES
from dashboards.palette import INK, SPLIT_COLOURS, Spec, axis

_SHIFT = 0.17


def split_rows(data: pd.DataFrame, split: str) -> tuple[pd.DataFrame, NDArray[np.float64]]:
    """A split's rows of a table with `place`, `split` and `value`, and where across the figure each of them lies."""
    part: pd.DataFrame = data[data["split"].to_numpy() == split]
    return part, part["place"].to_numpy(dtype=float) + (-_SHIFT if split == "train" else _SHIFT)


def dots(part: pd.DataFrame, y: NDArray[np.float64], split: str, score: str) -> Spec:
    """A dot for every repeat: open for train, filled for valid."""
    return {
        "type": "scatter",
        "mode": "markers",
        "name": f"{split}, one repeat",
        "x": part["value"].to_numpy(),
        "y": y,
        "customdata": part["repeat"].tolist(),
        "marker": {
            "size": 7,
            "color": SPLIT_COLOURS[split][0],
            "opacity": 0.65 if split == "valid" else 1,
            "symbol": "circle" if split == "valid" else "circle-open",
            "line": {"width": 1.4 if split == "train" else 0},
        },
        "hovertemplate": f"{split}, repeat %{{customdata}}<br>{_name(score)} %{{x:.4f}}<extra></extra>",
    }


def ticks(x: Any, y: NDArray[np.float64], split: str, score: str, what: str, **more: Any) -> Spec:
    """A short stroke across each row, at its mean or median."""
    return {
        "type": "scatter",
        "mode": "markers",
        "name": f"{split}, {what}",
        "x": x,
        "y": y,
        "marker": {"size": 12, "symbol": "line-ns-open", "color": INK, "line": {"width": 2}},
        "hovertemplate": f"{split}, {what}<br>{_name(score)} %{{x:.4f}}<extra></extra>",
        **more,
    }


def row_axis(names: Sequence[str], edge: float) -> Spec:
    """Names of the rows, the first on top, `edge` of a row free above and below."""
    count = len(names)
    y = axis(tickvals=list(range(count)), ticktext=list(names), range=[count - 1 + edge, -edge], showgrid=False)
    return {**y, "color": INK}


def _name(score: str) -> str:
    return METRIC_NAMES[score]  # type: ignore[index]
