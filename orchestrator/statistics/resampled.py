"""Several partitions of the same images: tests and intervals that know that they share images, and where variance is.

Training sets of different partitions overlap, so scores over partitions vary less than scores over new data would. The
correction of Nadeau and Bengio (2003) enlarges the variance of the mean by the share of images that are scored.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from orchestrator.statistics.paired import LEVEL, oriented

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Resampled:
    """Mean differences over k partitions to one reference; arrays are float64 [configurations].

    Positive means better than the reference, also for a loss. p is two-sided; low and high bound the mean at 95 %. All
    three are NaN with fewer than two partitions.
    """

    mean: Floats
    low: Floats
    high: Floats
    p: Floats
    partitions: int


def corrected_test(scores: np.ndarray, reference: int, higher_is_better: bool, ratio: float) -> Resampled:
    """The corrected resampled t-test of every configuration against the one in row `reference`.

    scores: [configurations, partitions, repeats], NaN where a pair is to leave a repeat out; a partition's difference
    is the mean over the repeats that both have, and all answers are NaN where it has none of them. ratio: scored images
    divided by training images of a partition. t = mean(d) / √((1/k + ratio) · var(d)) with k − 1 degrees of freedom,
    var with k − 1.
    Differences that are all zero have p = 1; equal ones other than zero have p = 0.
    """
    values = oriented(scores, higher_is_better)
    gaps = values - values[reference]
    there = ~np.isnan(gaps)
    with np.errstate(invalid="ignore"):
        pairs = np.where(there, gaps, 0.0).sum(axis=2) / there.sum(axis=2)
    k = pairs.shape[1]
    mean: Floats = pairs.mean(axis=1)
    if k < 2:
        nothing = np.full(len(mean), np.nan)
        return Resampled(mean, nothing, nothing, nothing, k)
    error = np.sqrt((1 / k + ratio) * pairs.var(axis=1, ddof=1))
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.where(mean == 0, 0.0, np.abs(mean) / error)
    p = 2 * special.stdtr(k - 1, -t)
    width = special.stdtrit(k - 1, (1 + LEVEL) / 2) * error
    return Resampled(mean, mean - width, mean + width, np.asarray(p, dtype=np.float64), k)


@dataclass(frozen=True)
class Components:
    """Standard deviations of one configuration's scores, from `partitions` × `seeds` of them.

    partition: between partitions. seed: between repeat numbers (initial weights and order are those of the number on
    every partition). rest: what neither explains, their interaction included. A negative estimate is given as 0.
    """

    partition: float
    seed: float
    rest: float
    partitions: int
    seeds: int


def components(scores: np.ndarray) -> Components | None:
    """Divide the variance of scores [partitions, repeats] by a two-way analysis with random effects.

    Mean squares of the crossed layout without replication: rest = MS(rest), partition = (MS(partition) − MS(rest)) /
    repeats, seed = (MS(seed) − MS(rest)) / partitions. Only repeats that every partition has are used; None where fewer
    than two of either are left.
    """
    values = np.asarray(scores, dtype=np.float64)
    values = values[:, np.isfinite(values).all(axis=0)]
    k, n = values.shape
    if k < 2 or n < 2:
        return None
    rows, columns = values.mean(axis=1), values.mean(axis=0)
    left = values - rows[:, None] - columns[None, :] + values.mean()
    rest = float((left**2).sum() / ((k - 1) * (n - 1)))
    between = max(0.0, (n * float(rows.var(ddof=1)) - rest) / n)
    seeds = max(0.0, (k * float(columns.var(ddof=1)) - rest) / k)
    return Components(between**0.5, seeds**0.5, rest**0.5, k, n)
