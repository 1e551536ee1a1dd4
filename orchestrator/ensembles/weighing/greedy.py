"""Greedy selection with replacement (Caruana et al. 2004, Ensemble selection from libraries of models).

The member that helps most is added, again and again, each as often as it helps. Of the ensembles on this way the best
one counts, so that none is worse on these images than its best member.
"""

from __future__ import annotations

import numpy as np

from orchestrator.ensembles.problem import Floats, Problem

STEPS = 25
"""Members are added so often; a weight is a multiple of one in at most so many."""
ROUNDING = 1e-12
"""What is better by less is the same, summed in another order."""


def greedy(problem: Problem) -> Floats:
    """Ties go to the member that stands first and to the ensemble that is found first, which is the smaller one."""
    count = len(problem.members)
    chosen, best, best_value = np.zeros(count), np.zeros(count), -np.inf
    for step in range(1, STEPS + 1):
        tried = (chosen + np.eye(count)) / step
        values = problem.goodness(tried)
        taken = int(np.flatnonzero(values >= values.max() - ROUNDING)[0]) if np.isfinite(values.max()) else 0
        chosen[taken] += 1
        if values[taken] > best_value + ROUNDING or step == 1:
            best, best_value = chosen / step, values[taken]
    return best
