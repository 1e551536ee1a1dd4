"""p of the hypothesis that no other configuration is better, by flipping the signs of whole repeats.

Were a configuration as good as another, a repeat's difference between the two could as well have had the other sign. A
repeat's differences to all others are flipped together, which keeps whatever correlation there is between them.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

ALL_FLIPS = 12
"""Up to so many repeats every combination of signs is used, beyond it DRAWS random ones."""
DRAWS = 10_000
_CLOSE = 1e-9
"""Statistics nearer than this are equal: sums of the same numbers differ in their last bits."""
ROUNDING = 1e-6
"""A difference smaller than this is none: the same repeat, stacked beside others, differs by 1e-7 (loss, nats)."""
_BLOCK = 320_000
"""Numbers that a thread holds at a time."""
_THREADS = 2
_FLIPS = 128
"""Flips of signs in one product: few enough that it stays in a processor's cache while its extremes are looked for."""


def sign_flip_p(values: Floats, candidates: Ints, seed: int = 0) -> Floats:
    """float64 [candidates]: p of each of these rows of values [configurations, repeats], better ones larger.

    Column r is the same repeat in all, NaN where there is none; a pair uses the repeats that both have. The statistic
    of row c is the largest over the others j of Σ d / √(Σ d²), d the differences j − c; for equal numbers of repeats it
    orders as Student's t of the mean difference does. p is the share of sign flips of c's repeats with a statistic at
    least as large, the flip that changes nothing included: 1/2ⁿ at least, 1 where c has no repeat. seed: of the random
    signs where not all are used.
    """
    there = ~np.isnan(values[candidates])
    patterns, which = np.unique(there, axis=0, return_inverse=True)
    flips = {n: signs(n, seed) for n in map(int, np.unique(patterns.sum(axis=1)))}
    blocks = [
        (block, pattern)
        for place, pattern in enumerate(patterns)
        for block in _blocks(np.flatnonzero(which.ravel() == place), values.size)
    ]

    def p_of(part: tuple[Ints, NDArray[np.bool_]]) -> Floats:
        block, pattern = part
        return _p_values(values[:, pattern], flips[int(pattern.sum())], candidates[block])

    p = np.ones(len(candidates))
    # a thread for each product: one this thin takes several times as long on several of them
    with threadpool_limits(1), ThreadPoolExecutor(_THREADS) as pool:
        for (block, _), own in zip(blocks, pool.map(p_of, blocks), strict=True):
            p[block] = own
    return p


def least_p(repeats: int) -> float:
    """The smallest p that so many repeats can give, see `sign_flip_p`."""
    return float(0.5**repeats if repeats <= ALL_FLIPS else 1 / (DRAWS + 2))


def _p_values(values: Floats, signs: Floats, candidates: Ints) -> Floats:
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


def signs(n: int, seed: int) -> Floats:
    """±1, [half, n], the first row +1: with their negations all 2ⁿ combinations, or DRAWS random ones and the first."""
    if n <= ALL_FLIPS:
        numbers = np.arange(2 ** max(n - 1, 0))
        return np.asarray(1.0 - 2.0 * (numbers[:, None] >> np.arange(n) & 1))
    draws = np.random.default_rng([seed, n]).integers(0, 2, size=(DRAWS // 2, n))
    return np.concatenate([np.ones((1, n)), 1.0 - 2.0 * draws])


def _blocks(members: Ints, width: int) -> Iterator[Ints]:
    step = max(1, _BLOCK // max(1, width))
    for first in range(0, len(members), step):
        yield members[first : first + step]
