"""How far from its targets every filling over a grid of μ and ε is: what the search by breakpoints is held against."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from trainables.data.filling import DIVERSITY, TARGETS, WEIGHTS, _Families


def distance_map(
    sizes: Sequence[int], mus: Sequence[float], epsilons: Sequence[float]
) -> tuple[np.ndarray, np.ndarray]:
    """Both parts of the distance: (proportion, diversity), each float64 [len(mus), len(epsilons)].

    `mus` lie in ]0, 1], `epsilons` are shares ≥ 0, in any order. Equal regions of the grid are computed once.
    """
    families = _Families(sizes, TARGETS, DIVERSITY, WEIGHTS)
    order = np.argsort(np.asarray(epsilons, dtype=float), kind="stable")
    rows: dict[int, np.ndarray] = {}
    result = np.empty((2, len(mus), len(epsilons)))
    for row, mu in enumerate(mus):
        start = families.first(mu)
        if start not in rows:
            values, following, parts = np.empty((2, len(epsilons))), -math.inf, (0.0, 0.0)
            for column in order:
                epsilon = float(epsilons[column])
                if epsilon >= following - 1e-12:
                    split, following = families.fill(start, epsilon)
                    found = families.filling(split, mu, epsilon).distance
                    parts = (found.proportion, found.diversity)
                values[:, column] = parts
            rows[start] = values
        result[:, row] = rows[start]
    return result[0], result[1]
