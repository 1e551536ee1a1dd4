"""Every combination of weights in steps of 0.05, by brute force."""

from __future__ import annotations

import functools

import numpy as np

from orchestrator.ensembles.problem import Floats, Problem
from orchestrator.ensembles.weighing.steps import SHARES, count_of, dealt
from orchestrator.store.errors import InputError

MOST = 20_000
_DEALT = functools.lru_cache(maxsize=4)(dealt)


def grid(problem: Problem) -> Floats:
    """The best; of equal ones the most even. Raises InputError where there are more than MOST."""
    check_size(len(problem.members))
    weights = _DEALT(len(problem.members)) / SHARES
    values = problem.goodness(weights)
    best: Floats = weights[int(np.argmax(values))]
    return best


def check_size(members: int) -> None:
    if (count := count_of(members)) > MOST:
        fits = max(number for number in range(1, members) if count_of(number) <= MOST)
        raise InputError(
            f"--weights grid: {members} members have {count:,} combinations of weights in steps of 0.05, expected at "
            f"most {MOST:,}",
            f"Take at most {fits} members (--top {fits}), or --weights genetic, which tries only some combinations.",
        )
