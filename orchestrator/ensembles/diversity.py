"""How differently members err: an ensemble gains from that alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Diversity:
    """Of M models. disagreement: float64 [M, M], share of images of which two say different classes. correlation:
    float64 [M, M], of their errors (1 where wrong, else 0); NaN with one that is always or never right."""

    disagreement: Floats
    correlation: Floats


def diversity(predicted: np.ndarray, truth: np.ndarray) -> Diversity:
    """predicted: class indices int [M, N]; truth: int [N]."""
    differs = (predicted[:, None] != predicted[None]).mean(axis=-1)
    wrong = (predicted != truth).astype(np.float64)
    away = wrong - wrong.mean(axis=1, keepdims=True)
    size = np.sqrt((away**2).sum(axis=1))
    with np.errstate(invalid="ignore", divide="ignore"):
        correlation = (away @ away.T) / (size[:, None] * size)
    return Diversity(differs, np.where(np.isfinite(correlation), correlation, np.nan))


def of_pairs(matrix: Floats) -> Floats:
    """The values of all pairs of different models that have one."""
    values = matrix[np.triu_indices(len(matrix), 1)]
    defined: Floats = values[np.isfinite(values)]
    return defined
