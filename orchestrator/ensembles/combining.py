"""What is averaged over models, and how the average becomes probabilities again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax, softmax

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Combining:
    """values: of logits float [..., K] what a weighted mean is taken of. chances: of that mean probabilities [..., K].

    Logits here are one for each class; a binary task's single one is (0, logit).
    """

    values: Callable[[np.ndarray], Floats]
    chances: Callable[[Floats], Floats]


def wide(logits: np.ndarray) -> Floats:
    """Logits float64 [..., K] of stored ones [..., outputs]."""
    values = logits.astype(np.float64)
    return np.concatenate([np.zeros_like(values), values], axis=-1) if values.shape[-1] == 1 else values


def _probabilities(logits: np.ndarray) -> Floats:
    chances: Floats = softmax(logits, axis=-1)
    return chances


def _log_probabilities(logits: np.ndarray) -> Floats:
    """Logits but for a number of each image, which says nothing: none of two models counts more by its height."""
    logs: Floats = log_softmax(logits, axis=-1)
    return logs


def _votes(logits: np.ndarray) -> Floats:
    """1 for the class with the largest logit, of equal ones the first as in training, else 0."""
    votes: Floats = np.eye(logits.shape[-1])[logits.argmax(axis=-1)]
    return votes


def _as_they_are(mean: Floats) -> Floats:
    return mean


PROBABILITIES = Combining(_probabilities, _as_they_are)
LOGITS = Combining(_log_probabilities, _probabilities)
VOTES = Combining(_votes, _as_they_are)
