"""Ends of a scale that numbers can be told apart on, whatever the values are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_NEAREST = 1e-9
_APART = 1e-6


def are_apart(low: float, high: float) -> bool:
    """Whether rounding leaves anything between two finite numbers: they differ by more than a billionth."""
    return high - low > _NEAREST * max(abs(low), abs(high))


def ends(low: float, high: float) -> tuple[float, float]:
    """The same two numbers, the upper one moved up by a millionth where they are not apart."""
    return (low, high) if are_apart(low, high) else (low, low + _APART * max(1.0, abs(low)))


def reach(values: NDArray[np.float64]) -> float:
    """The largest of finite values, or of those that lie together, where others would take two thirds of the axis.

    Far out is what lies more than three times the width of the middle half above it (Tukey's outer fence).
    """
    low, quarter, three_quarters = np.quantile(values, [0, 0.25, 0.75])
    together = values[values <= three_quarters + 3 * (three_quarters - quarter)].max()
    return float(together if values.max() - low > 3 * (together - low) else values.max())
