"""Whether repeats of a configuration have a long tail to one side, against which no flip of signs is proof.

A tail that the first repeats do not show makes a configuration look better or worse than it is. D'Agostino's test of
skewness (1970, *Transformation to normality of the null distribution of g₁*, Biometrika 57) sees it when they do.
"""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray
from scipy import special

from orchestrator.statistics.sign_flips import ROUNDING

Floats = NDArray[np.float64]

LEAST = 8
"""Repeats; D'Agostino's approximation is of so many and more."""
ALPHA = 0.05
"""Of all configurations together: the share of studies without any tail in which one is reported."""


def tails(values: np.ndarray) -> NDArray[np.int8]:
    """int8 [configurations]: −1 where there is a strong tail of bad repeats, 1 of good ones, 0 where none is shown.

    values: [configurations, repeats], better ones larger, NaN where there is none. Tested is, repeat by repeat, what a
    configuration differs from the mean of all that have the repeat, each first freed of its own mean: whatever all of
    them share in a repeat is gone. Two-sided at 0.05 divided by the number of configurations; of two there is one
    difference, hence one test, and a bad tail of one is a good one of the other. The most skewed one is taken out
    before the others are looked at, whose mean it was in. 0 throughout with fewer than LEAST repeats.
    """
    own = np.asarray(values, dtype=np.float64)
    sides = np.zeros(len(own), dtype=np.int8)
    left = np.arange(len(own))
    level = ALPHA / (len(own) if len(own) > 2 else 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a row or a column of NaN alone
        own = own - np.nanmean(own, axis=1, keepdims=True)
        while len(left) > 1:
            z = skewness_z(own[left] - np.nanmean(own[left], axis=0))
            z[np.isnan(z)] = 0.0
            most = np.argmax(np.abs(z)) if len(left) > 2 else np.arange(2)
            if not (2 * special.ndtr(-np.abs(z[most])) <= level).all():
                break
            sides[left[most]] = np.sign(z[most])
            left = np.delete(left, most)
    return sides


def skewness_z(values: Floats) -> Floats:
    """float64 [rows]: the sample skewness of each row as a standard normal deviate, were the row normal.

    NaN where a row has fewer than LEAST numbers that are not NaN, or all of them are equal.
    """
    there = np.isfinite(values)
    n = there.sum(axis=1).astype(np.float64)
    n[n < LEAST] = np.nan
    known = np.where(there, values, 0.0)
    away = np.where(there, known - (known.sum(axis=1) / n)[:, None], 0.0)
    square = (away**2).sum(axis=1) / n
    square[~(square > ROUNDING**2)] = np.nan
    skewness = (away**3).sum(axis=1) / n / square**1.5
    scaled = skewness * np.sqrt((n + 1) * (n + 3) / (6 * (n - 2)))
    fourth = 3 * (n**2 + 27 * n - 70) * (n + 1) * (n + 3) / ((n - 2) * (n + 5) * (n + 7) * (n + 9))
    spread = np.sqrt(2 * (fourth - 1)) - 1
    z: Floats = np.arcsinh(scaled / np.sqrt(2 / (spread - 1))) / np.sqrt(np.log(spread) / 2)
    return z
