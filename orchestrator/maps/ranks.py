"""Maps scaled, and how alike two of them rank their places."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata


def scaled(maps: NDArray[np.float32], together: Sequence[Sequence[int]] = ()) -> NDArray[np.float32]:
    """Maps [..., N, h, w] by their largest place, where that is above 0; images that stand `together` by that of all of
    them."""
    most = maps.max(axis=(-2, -1), keepdims=True)
    for images in map(list, together):
        most[..., images, :, :] = most[..., images, :, :].max(axis=-3, keepdims=True)
    shares: NDArray[np.float32] = np.divide(maps, most, out=np.zeros_like(maps), where=most > 0)
    return shares


def spearman(left: np.ndarray, right: np.ndarray) -> float | None:
    """Of the places of two maps, equals sharing the mean of their ranks; None where one of them is the same
    everywhere."""
    one, other = (rankdata(each.ravel()) for each in (left, right))
    if one.std() == 0 or other.std() == 0:
        return None
    return float(np.corrcoef(one, other)[0, 1])
