"""p of the hypothesis that some configuration trails another one by a margin or more, by flipping signs of repeats.

Each ordered pair is asked whether its first is behind by less than the margin: the differences plus the margin have a
mean above 0 then. All pairs have to be; so that it does not matter which of them are looked at, each is compared with
the largest statistic of any pair (Westfall and Young 1993, single step).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from orchestrator.statistics.sign_flips import ROUNDING, signs

Floats = NDArray[np.float64]
_CLOSE = 1e-9
_AT_ONCE = 64
"""Flips of signs in one product."""


def within_p(values: Floats, margin: float, seed: int = 0) -> float:
    """Of values [configurations, repeats], larger is better, column r the same repeat in all, NaN where there is none.

    With d the differences of a pair plus the margin (> 0), over the repeats that both have, its statistic is
    v = Σ d / √(Σ d²). p is the share of flips of whole repeats in which the largest v of any pair is at least the
    smallest observed: 1 where a pair has no repeat in common or is not nearer than the margin at all, 0 with one
    configuration. seed: of the random signs where not all are used.
    """
    count, repeats = values.shape
    if count < 2:
        return 0.0
    one, other = np.nonzero(~np.eye(count, dtype=bool))
    away = values[one] - values[other]
    away[np.abs(away) < ROUNDING] = 0.0
    gaps = np.where(np.isnan(away), 0.0, away + margin)
    size = np.sqrt((gaps**2).sum(axis=1, keepdims=True))
    unit = np.divide(gaps, size, out=np.zeros_like(gaps), where=size > 0)
    observed = float(unit.sum(axis=1).min()) - _CLOSE
    if observed <= 0:
        return 1.0
    half, reached = signs(repeats, seed), 0
    for first in range(0, len(half), _AT_ONCE):
        flipped = half[first : first + _AT_ONCE] @ unit.T
        reached += int((flipped.max(axis=1) >= observed).sum() + (-flipped.min(axis=1) >= observed).sum())
    return reached / (2 * len(half))
