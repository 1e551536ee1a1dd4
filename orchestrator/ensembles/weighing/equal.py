"""Every member counts alike."""

from __future__ import annotations

import numpy as np

from orchestrator.ensembles.problem import Floats, Problem


def equal(problem: Problem) -> Floats:
    count = len(problem.members)
    return np.full(count, 1 / count)
