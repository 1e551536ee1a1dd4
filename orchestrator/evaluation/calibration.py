"""Probabilities from logits, how far they can be trusted, and the one temperature that the valid images ask for."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

Floats = NDArray[np.float64]

BINS = 15
TEMPERATURES = (0.02, 50.0)
"""Between which one is looked for."""


def wide(logits: np.ndarray) -> Floats:
    """Logits float64 [..., K]: a binary task's single one becomes (0, logit)."""
    values = logits.astype(np.float64)
    return np.concatenate([np.zeros_like(values), values], axis=-1) if values.shape[-1] == 1 else values


def probabilities(logits: np.ndarray, temperature: float | np.ndarray = 1.0) -> Floats:
    """float64 [..., K] of logits as they are stored; a temperature above 1 makes them less sure."""
    chances: Floats = np.exp(log_softmax(wide(logits) / temperature, axis=-1))
    return chances


def fit_temperature(logits: np.ndarray, truth: np.ndarray) -> float:
    """The temperature within `TEMPERATURES` with the least mean log loss on these images (Guo et al. 2017).

    logits float [N, outputs], truth int [N], of the valid split: nothing is fitted on test images. Where all are
    predicted right, any sharper one would do as well.
    """
    values = wide(logits)
    rows = np.arange(len(truth))

    def loss(log_temperature: float) -> float:
        return float(-log_softmax(values / np.exp(log_temperature), axis=-1)[rows, truth].mean())

    return float(np.exp(minimize_scalar(loss, bounds=tuple(np.log(TEMPERATURES)), method="bounded").x))


def log_losses(chances: np.ndarray, truth: np.ndarray) -> Floats:
    """Nats per image, float64 [..., N], of probabilities [..., N, K], clipped by the epsilon of their dtype from 0 and
    from 1 and not normalised again, as in scikit-learn: of a class called impossible 36 nats in float64."""
    own: Floats = np.take_along_axis(chances, np.broadcast_to(truth[:, None], (*chances.shape[:-1], 1)), axis=-1)[
        ..., 0
    ]
    epsilon = np.finfo(own.dtype).eps
    losses: Floats = -np.log(np.clip(own, epsilon, 1 - epsilon))
    return losses


def brier(chances: np.ndarray, truth: np.ndarray) -> Floats:
    """Brier score per image, float64 [..., N]: 0 to 1 for two classes, 0 to 2 for more, as in scikit-learn."""
    wanted = np.eye(chances.shape[-1])[truth]
    scores: Floats = ((chances - wanted) ** 2).sum(axis=-1)
    return scores / 2 if chances.shape[-1] == 2 else scores


def calibration_error(chances: np.ndarray, truth: np.ndarray, group: np.ndarray, weights: np.ndarray) -> Floats:
    """Expected calibration error of the most probable class in 15 bins of equal width, float64 [draws], 0 to 1.

    chances [N, K], truth and group int [N], weights of the groups [draws, groups].
    """
    sure = chances.max(axis=-1)
    bins = np.minimum((sure * BINS).astype(np.int64), BINS - 1)
    gaps = np.zeros((weights.shape[1], BINS))
    np.add.at(gaps, (group, bins), sure - (chances.argmax(axis=-1) == truth))
    sizes = np.bincount(group, minlength=weights.shape[1])
    error: Floats = np.abs(weights @ gaps).sum(axis=1) / (weights @ sizes)
    return error
