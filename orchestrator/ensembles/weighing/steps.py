"""Weights in steps of 0.05: shares of 20 that are dealt to members."""

from __future__ import annotations

import itertools
import math

import numpy as np
from numpy.typing import NDArray

SHARES = 20
"""One is a weight of 0.05."""


def count_of(members: int) -> int:
    """How many ways there are to deal the shares to so many."""
    return math.comb(SHARES + members - 1, members - 1)


def dealt(members: int) -> NDArray[np.int64]:
    """All of them, int64 [count, members], the most even ones first."""
    bars = np.array(list(itertools.combinations(range(SHARES + members - 1), members - 1)), dtype=np.int64)
    bars = bars.reshape(count_of(members), members - 1)
    ends = np.full((len(bars), 1), SHARES + members - 1)
    shares = np.diff(np.concatenate([np.full((len(bars), 1), -1), bars, ends], axis=1)) - 1
    ordered: NDArray[np.int64] = shares[np.argsort((shares**2).sum(axis=1), kind="stable")]
    return ordered
