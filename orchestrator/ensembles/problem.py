"""What a way to weigh is given: members on weighted images, and how good any weights are there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orchestrator.ensembles.combining import Combining
from orchestrator.ensembles.target import Target

Floats = NDArray[np.float64]
AT_A_TIME = 4_000_000
"""Probabilities that are held at once."""


@dataclass(frozen=True)
class Problem:
    """members: float64 [M, N, K], what is averaged (`combining.values`) of each member. often: int64 [N], how often
    each image counts. seed: of ways that draw."""

    members: Floats
    truth: NDArray[np.int64]
    often: NDArray[np.int64]
    combining: Combining
    target: Target
    seed: int

    def chances(self, weights: Floats) -> Floats:
        """Probabilities [P, N, K] of weights [P, M]."""
        return self.combining.chances(np.tensordot(weights, self.members, axes=1))

    def goodness(self, weights: Floats) -> Floats:
        """The target of each of these weights [P, M], float64 [P]; larger is better."""
        step = max(1, AT_A_TIME // self.members[0].size)
        parts = [
            self.target.scores(self.chances(weights[i : i + step]), self.truth, self.often)
            for i in range(0, len(weights), step)
        ]
        return self.target.better(np.concatenate(parts))
