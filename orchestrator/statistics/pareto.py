"""The front of two goals: what nothing else beats in both, and how often each is there when repeats are drawn anew."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
DRAWS = 500
"""Of repeats, with replacement."""


def on_front(goals: Floats) -> Bools:
    """bool [..., C] of goals [..., C, 2], larger is better in both: no other is as good in both and better in one."""
    first, second = goals[..., 0], goals[..., 1]
    order = np.lexsort((-second, -first), axis=-1)
    sorted_first, sorted_second = (np.take_along_axis(one, order, axis=-1) for one in (first, second))
    best = np.maximum.accumulate(sorted_second, axis=-1)
    before = np.concatenate([np.full((*best.shape[:-1], 1), -np.inf), best[..., :-1]], axis=-1)
    twin = np.zeros(best.shape, dtype=bool)
    twin[..., 1:] = (sorted_first[..., 1:] == sorted_first[..., :-1]) & (
        sorted_second[..., 1:] == sorted_second[..., :-1]
    )
    is_there = sorted_second > before
    for place in range(1, best.shape[-1]) if twin.any() else ():
        is_there[..., place] |= twin[..., place] & is_there[..., place - 1]
    front = np.empty(best.shape, dtype=bool)
    np.put_along_axis(front, order, is_there, axis=-1)
    return front


def front_chances(goals: Sequence[Floats], seed: int, draws: int = DRAWS) -> Floats:
    """float64 [C]: the share of bootstrap draws of its repeats in which each mean is on the front.

    goals: of each configuration [n, 2], both of each repeat, larger is better. Configurations with equally many repeats
    draw the same ones together, for repeats with one number have seeds in common. Few repeats vary less when drawn
    anew than the mean does (by √((n − 1) / n)), so shares are nearer to 0 and 1 than they should be.
    """
    longest = max(len(own) for own in goals)
    uniform = np.random.default_rng([seed, longest]).random((draws, longest))
    means = np.empty((draws, len(goals), 2))
    for place, own in enumerate(goals):
        drawn = (uniform[:, : len(own)] * len(own)).astype(np.int64)
        means[:, place] = own[drawn].mean(axis=1)
    shares: Floats = on_front(means).mean(axis=0)
    return shares
