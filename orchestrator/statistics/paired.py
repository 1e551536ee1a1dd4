"""Differences between configurations, pair by pair over the repeats that both have."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

Floats = NDArray[np.float64]
LEVEL = 0.95
"""Of every interval here."""


@dataclass(frozen=True)
class Differences:
    """Mean differences to one reference; arrays are float64 [configurations], in the unit of the scores.

    Positive means better than the reference, also for a loss. low and high bound the mean difference at 95 %
    (Student's t over pairs); NaN where fewer than two pairs are there. n: int64, the pairs.
    """

    mean: Floats
    low: Floats
    high: Floats
    n: NDArray[np.int64]

    def upper_deficit(self) -> Floats:
        """float64 [configurations]: one-sided 95 % upper bound of how much worse than the reference each is."""
        freedom = np.maximum(self.n - 1, 1)
        width = (self.high - self.low) / 2
        bound: Floats = width * special.stdtrit(freedom, LEVEL) / special.stdtrit(freedom, (1 + LEVEL) / 2) - self.mean
        return bound


def oriented(scores: np.ndarray, higher_is_better: bool) -> Floats:
    """The scores as float64 with the better ones larger."""
    values = np.asarray(scores, dtype=np.float64)
    return values if higher_is_better else -values


def differences(scores: np.ndarray, reference: int, higher_is_better: bool) -> Differences:
    """Of every configuration to the one in row `reference`.

    scores: [configurations, repeats]; a repeat has the same column in all, NaN where a configuration lacks it.
    """
    values = oriented(scores, higher_is_better)
    return difference_intervals(values - values[reference])


def difference_intervals(pairs: np.ndarray) -> Differences:
    """Means and 95 % t intervals of paired differences [configurations, pairs], NaN where there is no pair."""
    there = np.isfinite(pairs)
    n = there.sum(axis=1)
    known = np.where(there, pairs, 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = known.sum(axis=1) / n
        squares = np.where(there, (pairs - mean[:, None]) ** 2, 0.0).sum(axis=1)
        error = np.sqrt(squares / (n - 1) / n)
    width = special.stdtrit(np.maximum(n - 1, 1), (1 + LEVEL) / 2) * error
    return Differences(mean, mean - width, mean + width, n)
