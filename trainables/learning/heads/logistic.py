"""Logistic regression with an L2 penalty: a convex minimum, found by L-BFGS (Liu and Nocedal 1989) in float64.

scikit-learn's (Pedregosa et al. 2011), whose result is one linear layer.
"""

from __future__ import annotations

import numpy as np
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from orchestrator.store.errors import InputError
from search_spaces.settings import head as settings
from trainables.learning.heads.layer import Layer, Layers

SMALL_GRADIENT = 1e-6
"""Largest part of the gradient at which it stops, where rounding does not stop it before."""
MOST_STEPS = 20_000


class Logistic:
    is_written_out = False

    def __init__(self, same: settings.Head) -> None:
        self.penalty = same.penalty

    def layers(self, width: int, outputs: int) -> Layers:
        return (Layer("Linear", (width, outputs)),)

    def fit(self, features: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> dict[str, np.ndarray]:
        """The minimum of Σ weight·cross entropy / N + λ/2·|w|². Raises InputError where a class has no images.

        scikit-learn makes C·Σ weight·cross entropy + |w|²/2 small, which is the same divided by λ for C = 1/(λN). It
        takes whole labels, so that an image of several classes is there once for each, with its share as weight.
        Features about their mean have the same minimum, in a fifth of the steps.
        """
        count, outputs = targets.shape
        shares = np.hstack([1 - targets, targets]) if outputs == 1 else targets
        if not shares.any(axis=0).all():
            raise InputError("expected training images of every class to fit logistic regression to, found none of one")
        images, classes = np.nonzero(shares)
        # It has one row w for two classes; as two of them, -w/2 and w/2, these have half its |w|²
        halves = outputs == 2
        model = LogisticRegression(
            C=(2 if halves else 1) / (self.penalty * count), tol=SMALL_GRADIENT, max_iter=MOST_STEPS
        )
        inputs = features[images].astype(np.float64)
        mean = inputs.mean(axis=0)
        inputs -= mean
        with threadpool_limits(1):
            model.fit(inputs, classes, weights[images] * shares[images, classes])
        weight, bias = model.coef_, model.intercept_ - model.coef_ @ mean
        if halves:
            weight, bias = np.vstack([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
        return {"0.weight": weight.astype(np.float32), "0.bias": bias.astype(np.float32)}
