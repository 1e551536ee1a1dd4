"""Which configurations could be the best: a set that holds the true best one with 95 % confidence.

Each configuration is asked whether any other is better than it by more than the repeats vary. The test of one against
the largest of all others takes account of how many there are, so the set needs no further correction. Its null
distribution comes from flipping signs: were the configuration as good as another, a repeat's difference between the
two could as well have had the other sign. A repeat's differences to all others keep together.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from orchestrator.statistics.paired import Differences, differences, oriented

Floats = NDArray[np.float64]

LEAST_REPEATS = 5
"""With fewer, all 2ⁿ flips of signs cannot make a p of 0.05 or less: nothing can be excluded."""
ENOUGH_REPEATS = 6
"""With five, p is 1/32 at least, and 2/32 where another configuration is behind as consistently as the best is ahead:
then the flip of all signs reaches the observed statistic too. Few can be excluded."""
ALL_FLIPS = 12
"""Up to so many repeats every combination of signs is used, beyond it DRAWS random ones."""
DRAWS = 10_000
ALPHA = 0.05
_CLOSE = 1e-9
"""Statistics nearer than this are equal: sums of the same numbers differ in their last bits."""
ROUNDING = 1e-6
"""A difference smaller than this is none: the same repeat, stacked beside others, differs by 1e-7 (loss, nats)."""
_BLOCK = 320_000
"""Numbers that a thread holds at a time."""
_THREADS = 2
_FLIPS = 128
"""Flips of signs in one product: few enough that it stays in a processor's cache while its extremes are looked for."""


@dataclass(frozen=True)
class ConfidenceSet:
    """The answer for configurations 0 … C − 1, in the order of the scores given. Arrays are float64 [C].

    best: the one with the best mean, always a member. members: those that cannot be excluded (p > 0.05), best mean
    first. p: of the hypothesis that no other configuration is better. difference, low, high: mean paired difference to
    `best` with its 95 % interval, ≤ 0 in the mean where all have the same repeats (also for a loss: negative is worse).
    n: pairs behind each difference. repeats: the largest number of repeats of any configuration.
    """

    best: int
    members: tuple[int, ...]
    p: Floats
    mean: Floats
    """Mean score in its own unit and direction."""
    difference: Floats
    low: Floats
    high: Floats
    n: NDArray[np.int64]
    repeats: int

    @property
    def can_exclude(self) -> bool:
        """Whether there are enough repeats to exclude anything."""
        return self.repeats >= LEAST_REPEATS

    @property
    def differences(self) -> Differences:
        return Differences(self.difference, self.low, self.high, self.n)


def confidence_set(scores: np.ndarray, higher_is_better: bool, seed: int = 0) -> ConfidenceSet:
    """The configurations that may be the best.

    scores: [configurations, repeats], a repeat's score of each; column r is the same repeat number in all, NaN where a
    configuration lacks that repeat (pairs use common repeats). seed: of the random signs where not all are used.

    For configuration c the statistic is the largest over the others j of Σ d / √(Σ d²), d the differences j − c over
    their common repeats; for equal numbers of repeats it orders as Student's t of the mean difference does. p is the
    share of sign flips with a statistic at least as large, the flip that changes nothing included.

    Raises ValueError: no configuration, one without any score, or a score that is infinite.
    """
    values = oriented(scores, higher_is_better)
    if values.ndim != 2 or not len(values):
        raise ValueError(f"scores: expected [configurations, repeats], found shape {values.shape}")
    there = ~np.isnan(values)
    if not there.any(axis=1).all() or np.isinf(values).any():
        raise ValueError("scores: expected at least one score of every configuration, and none that is infinite")
    mean = np.nanmean(values, axis=1)
    p = np.ones(len(values))
    for pattern in np.unique(there, axis=0):
        mine = np.flatnonzero((there == pattern).all(axis=1))
        signs = _signs(int(pattern.sum()), seed)
        values_of = partial(_p_values, values[:, pattern], signs)
        blocks = list(_blocks(mine, values.size))
        # a thread for each product: one this thin takes several times as long on several of them
        with threadpool_limits(1), ThreadPoolExecutor(_THREADS) as pool:
            for block, found in zip(blocks, pool.map(values_of, blocks), strict=True):
                p[block] = found
    best = int(np.argmax(mean))
    order = np.argsort(-mean, kind="stable")
    members = tuple(int(c) for c in order if p[c] > ALPHA or c == best)
    away = differences(scores, best, higher_is_better)
    repeats = int(there.sum(axis=1).max())
    own = mean if higher_is_better else -mean
    return ConfidenceSet(best, members, p, own, away.mean, away.low, away.high, away.n, repeats)


def _p_values(values: Floats, signs: Floats, candidates: NDArray[np.int64]) -> Floats:
    """float64 [candidates] for values [C, n] of which candidates lack none; each row of signs [half, n] is used twice,
    as it is and negated."""
    across = np.ascontiguousarray(values.T)[:, None, :]  # repeats first: sums over them run along whole rows
    gaps = across - across[:, 0, candidates, None]
    gaps[~(np.abs(gaps) >= ROUNDING)] = 0.0  # NaN too: no pair
    size = np.sqrt((gaps**2).sum(axis=0))
    unit = np.divide(gaps, size, out=gaps, where=size > 0)
    # no flip takes a difference further than its limit: most others never reach what a poor candidate is behind
    actual, limit = unit.sum(axis=0), np.abs(unit).sum(axis=0)
    itself = np.arange(len(candidates)), candidates
    actual[itself] = limit[itself] = -np.inf
    near = limit >= actual.max(axis=1, keepdims=True) - 2 * _CLOSE
    most, least = np.empty((len(candidates), len(signs))), np.empty((len(candidates), len(signs)))
    for place in range(len(candidates)):
        others = unit[:, place, near[place]]
        for first in range(0, len(signs), _FLIPS):
            flipped = signs[first : first + _FLIPS] @ others
            most[place, first : first + _FLIPS] = flipped.max(axis=1, initial=-np.inf)
            least[place, first : first + _FLIPS] = flipped.min(axis=1, initial=np.inf)
    observed = most[:, :1] - _CLOSE
    reached = (most >= observed).sum(axis=1) + (-least >= observed).sum(axis=1)
    return np.asarray(reached / (2 * len(signs)), dtype=np.float64)


def _signs(n: int, seed: int) -> Floats:
    """±1, [half, n], the first row +1: with their negations all 2ⁿ combinations, or DRAWS random ones and the first."""
    if n <= ALL_FLIPS:
        numbers = np.arange(2 ** max(n - 1, 0))
        return np.asarray(1.0 - 2.0 * (numbers[:, None] >> np.arange(n) & 1))
    draws = np.random.default_rng([seed, n]).integers(0, 2, size=(DRAWS // 2, n))
    return np.concatenate([np.ones((1, n)), 1.0 - 2.0 * draws])


def _blocks(members: NDArray[np.int64], width: int) -> Iterator[NDArray[np.int64]]:
    step = max(1, _BLOCK // max(1, width))
    for first in range(0, len(members), step):
        yield members[first : first + step]
