"""Rows of configurations with a dot for every repeat, train above valid: what the answer and the spread draw."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dashboards.figures.markup import METRIC_NAMES
from dashboards.figures.palette import INK, SPLIT_COLOURS, Spec, axis

_SHIFT = 0.17

Floats = NDArray[np.float64]


class Strip(NamedTuple):
    """The repeats of one split by row: float64 [repeats], and their numbers; rows come one after the other."""

    place: Floats
    value: Floats
    repeat: list[int]
    y: Floats
    """Where across the figure each of them lies."""

    @property
    def rows(self) -> Floats:
        """float64 [rows]: where across the figure each row lies."""
        return self.y[self._starts()]

    @property
    def by_row(self) -> list[Floats]:
        """The values of each row."""
        starts = self._starts()
        return np.split(self.value, starts[1:]) if len(starts) else []

    def _starts(self) -> NDArray[np.int64]:
        return np.flatnonzero(np.diff(self.place, prepend=-1))


def strip(data: pd.DataFrame, split: str) -> Strip:
    """A split's rows of a table with `place` (from 0, ascending), `split`, `repeat` and `value`."""
    mine = np.flatnonzero(np.array(data["split"].tolist()) == split)
    place, value = (data[name].to_numpy(dtype=float)[mine] for name in ("place", "value"))
    y = place + (-_SHIFT if split == "train" else _SHIFT)
    return Strip(place, value, data["repeat"].to_numpy()[mine].tolist(), y)


def dots(one: Strip, split: str, score: str, edge: float = np.inf) -> Spec:
    """A dot for every repeat: open for train, filled for valid; what lies beyond the edge stands there."""
    is_far = bool((one.value > edge).any())
    return {
        "type": "scatter",
        "mode": "markers",
        "name": f"{split}, one repeat",
        "x": np.where(np.isfinite(one.value), one.value.clip(None, edge), np.nan) if is_far else one.value,
        "y": one.y,
        "customdata": np.stack([one.repeat, one.value], axis=1) if is_far else one.repeat,
        "marker": {
            "size": 7,
            "color": SPLIT_COLOURS[split][0],
            "opacity": 0.65 if split == "valid" else 1,
            "symbol": "circle" if split == "valid" else "circle-open",
            "line": {"width": 1.4 if split == "train" else 0},
        },
        "hovertemplate": f"{split}, repeat %{{customdata[0]}}<br>{_name(score)} %{{customdata[1]:.4f}}<extra></extra>"
        if is_far
        else f"{split}, repeat %{{customdata}}<br>{_name(score)} %{{x:.4f}}<extra></extra>",
    }


def ticks(x: Any, y: Floats, split: str, score: str, what: str, **more: Any) -> Spec:
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
    return METRIC_NAMES[score]
