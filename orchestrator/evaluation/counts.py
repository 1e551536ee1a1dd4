"""Metrics of confusion counts, each for any leading shape: [..., K, K] with the truth in rows, weighted or not."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from trainables.learning.tasks.confusion import accuracy, balanced_accuracy, macro_f1

Floats = NDArray[np.float64]


def confusion(truth: np.ndarray, predicted: np.ndarray, units: np.ndarray, classes: int, groups: int) -> Floats:
    """Counts float64 [repeats, groups, K, K]; truth and units (group numbers) int [N], predicted int [repeats, N]."""
    repeats = len(predicted)
    cell = ((np.arange(repeats)[:, None] * groups + units) * classes + truth) * classes + predicted
    counts = np.bincount(cell.ravel(), minlength=repeats * groups * classes * classes)
    return counts.astype(np.float64).reshape(repeats, groups, classes, classes)


def matthews(counts: np.ndarray) -> Floats:
    """Matthews' correlation coefficient for K classes (Gorodkin 2004), −1 to 1; 0 where all is one class."""
    total = counts.sum(axis=(-2, -1))
    truth, predicted = counts.sum(axis=-1), counts.sum(axis=-2)
    right = np.trace(counts, axis1=-2, axis2=-1)
    above = right * total - (truth * predicted).sum(axis=-1)
    below = (total**2 - (predicted**2).sum(axis=-1)) * (total**2 - (truth**2).sum(axis=-1))
    return np.nan_to_num(_ratio(above, np.sqrt(np.maximum(below, 0.0))), nan=0.0)


def kappa(counts: np.ndarray) -> Floats:
    """Cohen's kappa, unweighted, −1 to 1; NaN where truth and prediction are one and the same class throughout."""
    total = counts.sum(axis=(-2, -1))
    expected = _ratio((counts.sum(axis=-1) * counts.sum(axis=-2)).sum(axis=-1), total**2)
    return _ratio(accuracy(counts) - expected, 1 - expected)


OVERALL: Mapping[str, Callable[[np.ndarray], Floats]] = {
    "accuracy": accuracy,
    "balanced_accuracy": balanced_accuracy,
    "macro_f1": macro_f1,
    "mcc": matthews,
    "kappa": kappa,
}
"""[..., K, K] → [...]."""


def hits_and_trials(counts: np.ndarray) -> dict[str, tuple[Floats, Floats]]:
    """Every metric that is a share of images: name → (hits, trials), "accuracy" [...], those of classes [..., K]."""
    total = counts.sum(axis=(-2, -1))[..., None]
    right = np.diagonal(counts, axis1=-2, axis2=-1).astype(np.float64)
    truth, predicted = counts.sum(axis=-1), counts.sum(axis=-2)
    rejected = np.maximum(total - truth - predicted + right, 0.0)
    return {
        "accuracy": (right.sum(axis=-1), total[..., 0]),
        "recall": (right, truth),
        "specificity": (rejected, total - truth),
        "precision": (right, predicted),
        "npv": (rejected, total - predicted),
    }


def _ratio(above: np.ndarray, below: np.ndarray) -> Floats:
    result = np.full(np.broadcast(above, below).shape, np.nan)
    np.divide(above, below, out=result, where=np.asarray(below) > 0)
    return result
