"""Confusion counts, the statistics of tasks with classes: [..., K, K] of any leading shape, the truth in rows.

NumPy only. What is told class by class is made of these names and of no other knowledge of the counts.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def counted(truth: np.ndarray, predicted: np.ndarray, classes: int) -> NDArray[np.int32]:
    """Counts [lanes, K, K] by class indices int, truth [N] and predicted [lanes, N]."""
    lanes = len(predicted)
    cell = (np.arange(lanes)[:, None] * classes + truth[None, :]) * classes + predicted
    counts = np.bincount(cell.ravel(), minlength=lanes * classes * classes)
    return counts.reshape(lanes, classes, classes).astype(np.int32)


def images(confusion: np.ndarray) -> np.ndarray:
    """All of them, [...]."""
    total: np.ndarray = confusion.sum(axis=(-2, -1))
    return total


def images_of_classes(confusion: np.ndarray) -> np.ndarray:
    """Images by their true class, [..., K]."""
    total: np.ndarray = confusion.sum(axis=-1)
    return total


def right(confusion: np.ndarray) -> np.ndarray:
    """Images predicted right by class, [..., K]."""
    return np.diagonal(confusion, axis1=-2, axis2=-1)


def accuracy(confusion: np.ndarray) -> Floats:
    """Share of images predicted right, [...]; NaN where there are none."""
    counts = confusion.astype(np.float64)
    return _ratio(_total(np.diagonal(counts, axis1=-2, axis2=-1), -1), _total(_total(counts, -1), -1))


def recall(confusion: np.ndarray) -> Floats:
    """Per class, [..., K]; NaN for a class without images."""
    counts = confusion.astype(np.float64)
    return _ratio(np.diagonal(counts, axis1=-2, axis2=-1), _total(counts, -1))


def precision(confusion: np.ndarray) -> Floats:
    """Per class, [..., K]; 0 for a class that was never predicted, as scikit-learn has it."""
    counts = confusion.astype(np.float64)
    return _ratio(np.diagonal(counts, axis1=-2, axis2=-1), _total(counts, -2), of_none=0.0)


def f1(confusion: np.ndarray) -> Floats:
    """Per class, [..., K]: 2·TP / (2·TP + FP + FN); 0 where the class neither occurs nor is predicted."""
    counts = confusion.astype(np.float64)
    hits = np.diagonal(counts, axis1=-2, axis2=-1)
    return _ratio(2 * hits, _total(counts, -1) + _total(counts, -2), of_none=0.0)


def balanced_accuracy(confusion: np.ndarray) -> Floats:
    """Mean recall of the classes that occur, [...]."""
    recalls = recall(confusion)
    present = ~np.isnan(recalls)
    return _ratio(np.where(present, recalls, 0.0).sum(axis=-1), present.sum(axis=-1).astype(np.float64))


def macro_f1(confusion: np.ndarray) -> Floats:
    """Unweighted mean of the F1 of all classes, [...]."""
    scores: Floats = f1(confusion).mean(axis=-1)
    return scores


def _total(counts: Floats, axis: int) -> Floats:
    """Sum over an axis as short as there are classes: exact for counts, and faster than NumPy's over so few."""
    first, *others = np.moveaxis(counts, axis, 0)
    total: Floats = first.copy()
    for other in others:
        total += other
    return total


def _ratio(numerator: np.ndarray, denominator: np.ndarray, of_none: float = np.nan) -> Floats:
    result = np.full(np.broadcast(numerator, denominator).shape, of_none)
    np.divide(numerator, denominator, out=result, where=np.asarray(denominator) > 0)
    return result
