"""Scores from loss and confusion counts, and the one rule that picks a repeat's epoch. NumPy only.

Every function takes arrays of any leading shape: loss [...], confusion [..., K, K] with the truth in rows.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from orchestrator.store.schema import History, Metric

Floats = NDArray[np.float64]


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


def scores(metric: Metric, loss: np.ndarray, confusion: np.ndarray) -> Floats:
    """The named metric, [...]; loss in nats, every other on a scale of 0 to 1."""
    if metric == "loss":
        return loss.astype(np.float64)
    return {"accuracy": accuracy, "balanced_accuracy": balanced_accuracy, "macro_f1": macro_f1}[metric](confusion)


def is_loss(metric: Metric) -> bool:
    """Whether smaller is better."""
    return metric == "loss"


def selection_scores(metric: Metric, history: History, valid_alone: bool = False) -> Floats:
    """Per epoch the value that selection looks at, [epochs + 1]; larger is always better (a loss is negated).

    It is the worse of train and valid, so that a lucky validation epoch ahead of training does not win; valid alone
    where the two are not comparable. An epoch with a value that is not finite counts as minus infinity.
    """
    values = scores(metric, history.loss, history.confusion)
    if is_loss(metric):
        values = -values
    valid = values[:, history.splits.index("valid")]
    worse = valid if valid_alone else np.minimum(values[:, history.splits.index("train")], valid)
    return np.where(np.isfinite(worse), worse, -np.inf)


def selected_epoch(metric: Metric, history: History, valid_alone: bool = False) -> int:
    """The epoch that stands for the repeat; ties go to the earliest."""
    return int(np.argmax(selection_scores(metric, history, valid_alone)))


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
