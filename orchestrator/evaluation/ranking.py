"""Areas under curves of one class against the rest, for many weightings of the same groups at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

CHUNK_VALUES = 20_000_000
"""Weights of images that are held at a time."""


class Ranking:
    """Images of one repeat ordered by their score for one class; score float [N], positive bool [N], group int [N]."""

    def __init__(self, score: np.ndarray, positive: np.ndarray, group: np.ndarray) -> None:
        self.order = np.argsort(-score, kind="stable")
        ranked = score[self.order]
        self.starts = np.flatnonzero(np.concatenate([[True], ranked[1:] != ranked[:-1]]))
        self.positive = positive[self.order].astype(np.float64)
        self.group = group[self.order]

    def areas(self, weights: np.ndarray, positives: np.ndarray, negatives: np.ndarray) -> tuple[Floats, Floats]:
        """(areas under the ROC curve, average precisions), each float64 [2, draws].

        weights: of the groups, float64 [draws, groups] ≥ 0; positives, negatives: of images of an unseen group,
        float64 [draws]. First these are ranked wrong, positives last and others first, then right; for the average
        precision unseen others stand last both times, since the first few places alone would decide it. Equal scores
        are one step of the curves, as in scikit-learn. NaN where one of the two sides has no weight.
        """
        both = np.full((2, 2, len(weights)), np.nan)
        step = max(1, CHUNK_VALUES // len(self.order))
        for start in range(0, len(weights), step):
            rows = slice(start, start + step)
            both[:, :, rows] = self._areas(weights[rows], positives[rows], negatives[rows])
        return both[0], both[1]

    def _areas(self, weights: np.ndarray, positives: np.ndarray, negatives: np.ndarray) -> Floats:
        ordered = weights[:, self.group]
        hits = ordered * self.positive
        if len(self.starts) < len(self.order):
            hits, ordered = (np.add.reduceat(values, self.starts, axis=1) for values in (hits, ordered))
        hits_to_here, all_to_here = np.cumsum(hits, axis=1), np.cumsum(ordered, axis=1)
        seen, count = hits_to_here[:, -1], all_to_here[:, -1]
        # a positive image is ahead of all others that come later, and of half of those with the same score
        before = np.einsum("ds,ds->d", hits, all_to_here - hits_to_here - (ordered - hits) / 2)
        ahead = seen * (count - seen) - before
        pairs = (seen + positives) * (count - seen + negatives)
        nothing, averages = np.zeros_like(positives), []
        for first, last in ((nothing, positives), (positives, nothing)):
            to_here, precision = all_to_here + first[:, None], np.zeros_like(all_to_here)
            np.divide(hits_to_here + first[:, None], to_here, out=precision, where=to_here > 0)
            foot = last * (seen + positives) / np.maximum(count + positives, 1e-300)
            averages.append(first + np.einsum("ds,ds->d", hits, precision) + foot)
        with np.errstate(invalid="ignore", divide="ignore"):
            areas = np.stack([ahead, (seen + positives) * (count - seen + negatives) - before]) / pairs
            both = np.stack([areas, np.stack(averages) / (seen + positives)])
        return np.where((pairs > 0) & (seen + positives > 0), np.minimum(both, 1.0), np.nan)
