"""What the winner's score is worth once the choosing itself is taken into account (BBC, Tsamardinos et al. 2018).

The score of the best of many configurations is optimistic because the same images chose it. Here the choosing is
repeated many times: validation groups are drawn with replacement, the best configuration on the drawn ones is taken,
and it is scored on the groups that were not drawn. Nothing is trained again: the kept predictions are enough.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orchestrator.store.schema import Metric
from search_spaces.settings.data import TASKS
from trainables.learning import metrics
from trainables.learning.tasks import confusion

Floats = NDArray[np.float64]

ROUNDS = 1000
LEAST_GROUPS = 20
LEAST_GROUPS_PER_CLASS = 5
"""Below these no interval is given: resampling so few groups does not show how groups vary."""


@dataclass(frozen=True)
class Predictions:
    """Validation predictions of C configurations, R repeats each, on N images of G groups and K classes.

    truth: int64 [N]. group: int64 [N], 0 … G − 1. classes: K names.
    predicted: int16 [C, R, N]. losses: float32 [C, R, N], cross entropy per image in nats.
    train: float64 [C, R], the selecting metric of the training split; NaN where they are compared by valid.
    task: one that has confusion counts.
    """

    truth: NDArray[np.int64]
    group: NDArray[np.int64]
    classes: tuple[str, ...]
    predicted: NDArray[np.int16]
    losses: NDArray[np.float32]
    train: Floats
    task: str

    @property
    def groups(self) -> int:
        return int(self.group.max()) + 1 if len(self.group) else 0

    @property
    def groups_per_class(self) -> NDArray[np.int64]:
        """int64 [K]: validation groups that hold an image of the class."""
        held = np.zeros((len(self.classes), self.groups), dtype=bool)
        held[self.truth, self.group] = True
        counts: NDArray[np.int64] = held.sum(axis=1)
        return counts


@dataclass(frozen=True)
class BiasCorrected:
    """plain and corrected: per metric the winner's validation score and the one corrected for the choosing.

    low, high: 95 % over rounds, of the selecting metric; None with the reason in `no_interval`.
    chosen: float64 [C], share of the rounds that chose each configuration; winner: row of the one that `plain` is of.
    rounds: those in which some group was left out. repeats: those that every configuration has predictions of.
    """

    metric: Metric
    plain: Mapping[Metric, float]
    corrected: Mapping[Metric, float]
    low: float | None
    high: float | None
    no_interval: str
    chosen: Floats
    winner: int
    rounds: int
    groups: int
    repeats: int


def bias_corrected(
    predictions: Predictions, winner: int, metric: Metric, rounds: int = ROUNDS, seed: int = 0
) -> BiasCorrected | None:
    """Repeat the choosing by `metric` on resampled groups; None where there are fewer than two groups.

    In a round each configuration's value is the mean over its repeats of what the study compares, the worse of train
    and valid or valid alone, valid on the drawn groups; the epochs stay those already selected. The images left out are
    pooled over all rounds, repeat by repeat, before they are scored, so a class that is left out in few rounds counts
    as it does in the whole split. winner: the row whose plain score is given beside it.

    What the rounds' choices score is compared with what the winner scores on the same images, and the difference added
    to the plain score. Its expectation is that of the choices' score; but which images happen to be left out how often,
    which with few groups outweighs the correction itself, cancels.
    """
    if predictions.groups < 2:
        return None
    draws = np.random.default_rng(seed).integers(0, predictions.groups, size=(rounds, predictions.groups))
    weights = np.stack([np.bincount(draw, minlength=predictions.groups) for draw in draws]).astype(np.float64)
    weights = weights[(weights == 0).any(axis=1)]
    sums = _GroupSums(predictions)
    values = np.stack([_in_the_bag(sums, c, weights, metric) for c in range(len(predictions.predicted))])
    better = -values if metrics.is_loss(metric) else values
    picked = np.argmax(np.where(np.isfinite(better), better, -np.inf), axis=0)
    outside = (weights == 0).astype(np.float64)
    repeats, classes = predictions.predicted.shape[1], len(predictions.classes)
    loss, pooled = np.zeros(repeats), np.zeros((repeats, classes, classes))
    own_loss, own_pooled = np.zeros_like(loss), np.zeros_like(pooled)
    each = np.full(len(picked), np.nan)
    for c in np.unique(picked):
        rows = np.flatnonzero(picked == c)
        losses, counts = sums.weighted(int(c), outside[rows])
        loss += losses.sum(axis=0)
        pooled += counts.sum(axis=0)
        own_losses, own_counts = sums.weighted(winner, outside[rows])
        own_loss += own_losses.sum(axis=0)
        own_pooled += own_counts.sum(axis=0)
        scored = metrics.scores(metric, losses / confusion.images(counts), counts).mean(axis=1)
        whole = (confusion.images_of_classes(counts[:, 0]) > 0).all(axis=1)
        each[rows] = np.where(whole, scored, np.nan)
    reason = _no_interval(predictions)
    low, high = (None, None) if reason else np.nanpercentile(each, [2.5, 97.5])
    names = TASKS.variants[predictions.task].counted
    plain = _scored(names, *(part[0] for part in sums.weighted(winner, np.ones((1, predictions.groups)))))
    chosen, own = _scored(names, loss, pooled), _scored(names, own_loss, own_pooled)
    return BiasCorrected(
        metric,
        plain,
        {name: plain[name] + chosen[name] - own[name] for name in plain},
        None if low is None else float(low),
        None if high is None else float(high),
        reason,
        np.bincount(picked, minlength=len(values)) / len(picked),
        winner,
        len(picked),
        predictions.groups,
        repeats,
    )


class _GroupSums:
    """Sums of loss and confusion counts over each group's images, per configuration made when asked for."""

    def __init__(self, predictions: Predictions) -> None:
        self.of = predictions
        self.indicator = np.zeros((predictions.groups, len(predictions.truth)), dtype=np.float64)
        self.indicator[predictions.group, np.arange(len(predictions.truth))] = 1.0

    def weighted(self, c: int, weights: Floats) -> tuple[Floats, Floats]:
        """For weights [B, G] the summed losses [B, R] and confusion counts [B, R, K, K] of configuration c."""
        of, k = self.of, len(self.of.classes)
        repeats, images = of.predicted.shape[1:]
        loss = self.indicator @ of.losses[c].T.astype(np.float64)
        cell = of.truth * k + of.predicted[c]
        counts = np.zeros((of.groups, repeats, k * k))
        np.add.at(counts, (np.broadcast_to(of.group, (repeats, images)), np.arange(repeats)[:, None], cell), 1.0)
        weighted = (weights @ counts.reshape(of.groups, -1)).reshape(len(weights), repeats, k, k)
        return weights @ loss, weighted


def _in_the_bag(sums: _GroupSums, c: int, weights: Floats, metric: Metric) -> Floats:
    """float64 [B]: what would be compared on the drawn groups."""
    loss, counts = sums.weighted(c, weights)
    valid = metrics.scores(metric, loss / confusion.images(counts), counts)
    worse = np.fmax if metrics.is_loss(metric) else np.fmin
    value: Floats = worse(valid, sums.of.train[c]).mean(axis=1)
    return value


def _scored(names: Sequence[Metric], loss: Floats, counts: Floats) -> dict[Metric, float]:
    """Every metric, the mean over repeats, of summed losses [R] and confusion counts [R, K, K]."""
    mean = loss / confusion.images(counts)
    return {metric: float(metrics.scores(metric, mean, counts).mean()) for metric in names}


def _no_interval(predictions: Predictions) -> str:
    """Why there is no interval, or ""."""
    if predictions.groups < LEAST_GROUPS:
        return f"{predictions.groups} validation groups, at least {LEAST_GROUPS} are needed"
    few = [
        f"{name} has {count}"
        for name, count in zip(predictions.classes, predictions.groups_per_class.tolist(), strict=True)
        if count < LEAST_GROUPS_PER_CLASS
    ]
    return f"{', '.join(few)} validation groups, at least {LEAST_GROUPS_PER_CLASS} are needed" if few else ""
