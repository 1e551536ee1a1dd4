"""Maps scaled, and how alike two of them rank their places."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata


def scaled(maps: NDArray[np.float32]) -> NDArray[np.float32]:
    """Maps [..., h, w] by their largest place, where that is above 0."""
    most = maps.max(axis=(-2, -1), keepdims=True)
    found: NDArray[np.float32] = np.divide(maps, most, out=np.zeros_like(maps), where=most > 0)
    return found


def spearman(left: np.ndarray, right: np.ndarray) -> float | None:
    """Of the places of two maps, equals sharing the mean of their ranks; None where one of them is the same
    everywhere."""
    one, other = (rankdata(each.ravel()) for each in (left, right))
    if one.std() == 0 or other.std() == 0:
        return None
    return float(np.corrcoef(one, other)[0, 1])
