"""95 % intervals over groups: patients or slides are drawn from a population, their images are not drawn one by one.

Images of a group resemble one another, so an interval over images is far too short. Here the group is the unit, and one
method serves every metric. It is a bootstrap that gives random weights to the groups (Rubin 1981) and puts a tenth of a
group beside them that nobody has seen, one image at least: for the lower limit it is predicted wrong, for the upper one
right. Gaffke 2005 adds a whole group, with which means of bounded values are covered however they are distributed; of
groups of one image that gives Clopper and Pearson's limits. How the weights vary makes the interval as wide as
Student's t does with so many groups. No limit rises when a prediction gets worse, and groups without an error give no
interval of width 0.
`benchmarks/coverage.py` measures how often they cover.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]

LEVEL = 0.95
METHOD = "weighted bootstrap over groups, with a tenth of an unseen group added"
UNSEEN = 0.1
"""How much of a group, all wrong or all right, stands beside those that were tested; one image at least."""
LEAST_ALIKE = 4.5
"""Groups of equal size that the groups must be worth, of each class where a metric is made of classes."""
WIDEST = 0.4
"""Of a metric that lies within 0 … 1 or −1 … 1; what is wider says too little to be printed."""
_LEAST_SHAPE = 0.15


@dataclass(frozen=True)
class Weighting:
    """How much each group counts, float64 [draws, groups], and images of an unseen one by true class [draws, K]."""

    groups: Floats
    unseen: Floats

    @classmethod
    def even(cls, groups: int, classes: int) -> Weighting:
        """All groups once and nothing unseen, as one draw."""
        return cls(np.ones((1, groups)), np.zeros((1, classes)))


def too_few(images: np.ndarray, together: bool, least: float = LEAST_ALIKE) -> bool:
    """Whether groups of these sizes say too little for an interval, whatever the scores; see `weightings`."""
    alike = _alike(images, together)
    return not len(alike) or bool((alike < least).any())


def weightings(images: np.ndarray, together: bool, draws: int, seed: int) -> Weighting:
    """Draws for one metric.

    images: float [groups, K], of the classes that the metric counts, 0 for others; not `too_few`. together: whether the
    metric is one share or mean over all of them, else it is made of classes, and each adds its own variance, with
    degrees of freedom after Welch 1947.
    """
    generator = np.random.default_rng(seed)
    alike = _alike(images, together)
    welch = (1 / alike).sum() ** 2 / (1 / (alike**2 * (alike - 1))).sum()
    freedom = min(welch, float(_alike(images, True)[0]) - 1)  # groups that hold several classes count once
    ratio = stats.norm.ppf((1 + LEVEL) / 2) / stats.t.ppf((1 + LEVEL) / 2, freedom)
    # weights of this shape give a mean the variance s² t² / (z² k), s² with k − 1, of k groups that are alike
    shape = max(_LEAST_SHAPE, float((((alike - 1) * ratio**2 - 1) / alike).min()))
    holding = (images > 0).sum(axis=0)
    held = holding > 0
    each = (
        holding.sum() / (images > 0).any(axis=1).sum() / held.sum()
    )  # an unseen group is of as many classes as a seen
    unseen = np.zeros((draws, images.shape[1]))
    sizes = images.sum(axis=0)[held] / holding[held]
    weights = generator.standard_gamma(shape, size=(draws, len(images)))
    shares = np.maximum(UNSEEN, 1 / sizes) * shape * each
    unseen[:, held] = generator.standard_gamma(shares, size=(draws, int(held.sum()))) * sizes
    return Weighting(weights, unseen)


def limits(with_wrong: np.ndarray, with_right: np.ndarray) -> tuple[float, float]:
    """Low and high of draws [draws] with an unseen group that is all wrong, and all right.

    Draws where the metric is undefined are left out; NaN where most are.
    """
    ends = []
    for values, place in ((with_wrong, (1 - LEVEL) / 2), (with_right, (1 + LEVEL) / 2)):
        kept = values[np.isfinite(values)]
        ends.append(float(np.quantile(kept, place)) if len(kept) >= len(values) / 2 else float("nan"))
    return ends[0], ends[1]


def _alike(images: np.ndarray, together: bool) -> Floats:
    """Numbers of groups of equal size that would say as much (Kish 1965), of all or of each class that has images."""
    parts = images.sum(axis=1, keepdims=True) if together else images
    total, squares = parts.sum(axis=0), (parts**2).sum(axis=0)
    alike: Floats = total[total > 0] ** 2 / squares[total > 0]
    return alike
