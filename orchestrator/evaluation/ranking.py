"""Areas under curves of one class against the rest, for many weightings of the same images at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Ranking:
    """Images of one repeat ordered by their score for one class; score float [N], positive bool [N]."""

    def __init__(self, score: np.ndarray, positive: np.ndarray) -> None:
        self.order = np.argsort(-score, kind="stable")
        ranked = score[self.order]
        self.starts = np.flatnonzero(np.concatenate([[True], ranked[1:] != ranked[:-1]]))
        self.positive = positive[self.order].astype(np.float64)

    def areas(self, weights: np.ndarray) -> tuple[Floats, Floats]:
        """(area under the ROC curve, average precision), each float64 [draws], for weights float [draws, N] ≥ 0.

        Equal scores are one step of the curves, as in scikit-learn. NaN where one of the two sides has no weight.
        """
        ordered = weights[:, self.order]
        hits = np.add.reduceat(ordered * self.positive, self.starts, axis=1)
        false = np.add.reduceat(ordered, self.starts, axis=1) - hits
        hits_to_here, false_to_here = np.cumsum(hits, axis=1), np.cumsum(false, axis=1)
        positives, negatives = hits_to_here[:, -1], false_to_here[:, -1]
        with np.errstate(invalid="ignore", divide="ignore"):
            below = negatives[:, None] - false_to_here + false / 2
            area = (hits * below).sum(axis=1) / (positives * negatives)
            precision = np.nan_to_num(hits_to_here / (hits_to_here + false_to_here), nan=0.0)
            average = (hits * precision).sum(axis=1) / positives
        undefined = (positives <= 0) | (negatives <= 0)
        return np.where(undefined, np.nan, area), np.where(undefined, np.nan, average)
