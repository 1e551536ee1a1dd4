"""How much better a random split looks than groups that were never seen, and how sure that is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orchestrator.statistics.paired import difference_intervals
from trainables.learning.tasks import confusion

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Difference:
    """Mean over n repeats with its 95 % interval (Student's t over pairs); low and high are NaN with one repeat."""

    mean: float
    low: float
    high: float
    n: int


def paired_difference(one: Floats, other: Floats) -> Difference:
    """one − other, float64 [n] each, in pairs."""
    intervals = difference_intervals((one - other)[None])
    return Difference(float(intervals.mean[0]), float(intervals.low[0]), float(intervals.high[0]), len(one))


def contributions(counts: np.ndarray) -> Floats:
    """float64 [n, splits]: of counts [n, splits, K, K] what each repeat says of the pooled balanced accuracy.

    Their mean over repeats is the balanced accuracy of all counts together. About it each repeat is as far away as its
    right images of a class are more than that class's recall lets expect, by the mean number of images of the class:
    the linearised ratio (Woodruff 1971, *A simple method for approximating the variance of a complicated estimate*,
    JASA 66). So a repeat that lacks a class in a split adds nothing to it; its own score would be of other classes.
    """
    images = confusion.images_of_classes(counts).astype(np.float64)
    right = confusion.right(counts).astype(np.float64)
    total = images.sum(axis=0)
    there = total > 0
    recall = np.divide(right.sum(axis=0), total, out=np.zeros_like(total), where=there)
    away = np.divide(right - recall * images, total / len(counts), out=np.zeros_like(images), where=there)
    parts: Floats = (recall + away).sum(axis=-1) / there.sum(axis=-1)
    return parts
