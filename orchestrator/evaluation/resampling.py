"""Every metric for many weightings of the groups at once: all groups once, or as a bootstrap weighs them."""

from __future__ import annotations

import copy

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from orchestrator.evaluation import calibration
from orchestrator.evaluation.counts import OVERALL, confusion, hits_and_trials
from orchestrator.evaluation.intervals import Weighting
from orchestrator.evaluation.ranking import Ranking
from orchestrator.evaluation.samples import Units
from trainables.learning.tasks.confusion import f1

Floats = NDArray[np.float64]

RANKED = ("roc_auc", "average_precision")


class Resampled:
    """Metrics of one set of units. Names are "accuracy" …, and "recall/0" … for class number 0.

    temperatures: per model; () leaves out the metrics of scaled probabilities. positive: of a binary task the class
    whose area and average precision stand for the whole. base: what an image counts, by group, float64 [groups].
    """

    def __init__(self, units: Units, temperatures: tuple[float, ...], positive: int | None, base: np.ndarray) -> None:
        self.units = units
        self.positive = positive
        self.base = base
        self.counts = confusion(units.truth, units.predicted, units.group, units.classes, units.groups)
        self._chances = {"": units.chances}
        if temperatures:
            divided = np.log(np.maximum(units.chances, 1e-300)) / np.array(temperatures)[:, None, None]
            self._chances["_scaled"] = np.exp(log_softmax(divided, axis=-1))
        self._rankings = [
            [Ranking(model[:, k], units.truth == k, units.group) for k in range(units.classes)]
            for model in units.chances
        ]
        self._sizes = np.bincount(units.group, minlength=units.groups).astype(np.float64)

    def values(self) -> dict[str, Floats]:
        """Name → float64 [models], of all groups once."""
        even = Weighting.even(self.units.groups, self.units.classes)
        counts = self.weighted_counts(even)[0]
        by_name = {name: of_counts(counts, name) for name in counted_names(self.units.classes)}
        by_name |= {name: values[0] for name, values in self.averaged(even).items()}
        each = [self.ranked(even, number) for number in range(self.units.classes)]
        for metric in RANKED:
            values = np.stack([one[metric][0] for one in each])
            by_name |= {f"{metric}/{number}": value for number, value in enumerate(values)}
            by_name[metric] = mean_of_defined(values, axis=0) if self.positive is None else values[self.positive]
        return {name: values[0] for name, values in by_name.items()} | self._calibration_errors()

    def against(self, number: int) -> Resampled:
        """One class (number 1) against the rest (number 0), for metrics of counts and of ranks."""
        pair = copy.copy(self)
        own = self.counts[..., number, number]
        truth, predicted = self.counts[..., number, :].sum(axis=-1), self.counts[..., :, number].sum(axis=-1)
        rest = self.counts.sum(axis=(-2, -1)) - truth - predicted + own
        pair.counts = np.stack([rest, predicted - own, truth - own, own], axis=-1).reshape(*own.shape, 2, 2)
        pair._rankings = [[model[number]] * 2 for model in self._rankings]
        pair.positive = 1
        return pair

    def weighted_counts(self, weighting: Weighting) -> Floats:
        """Confusion counts float64 [2, draws, models, K, K], with unseen images predicted wrong, then right."""
        models, groups, classes, _ = self.counts.shape
        flat = self.counts.transpose(1, 0, 2, 3).reshape(groups, -1)
        counts = ((weighting.groups * self.base) @ flat).reshape(-1, models, classes, classes)
        right = np.eye(classes)
        wrong = (1 - right) / (classes - 1) if classes > 1 else right
        unseen = weighting.unseen[:, :, None]
        both: Floats = np.stack([counts + (unseen * spread)[:, None] for spread in (wrong, right)])
        return both

    def averaged(self, weighting: Weighting) -> dict[str, Floats]:
        """Log loss and Brier score of plain and of scaled probabilities, name → float64 [2, draws, models]: unseen
        images wrong, right."""
        truth, group = self.units.truth, self.units.group
        unseen = weighting.unseen.sum(axis=1)[:, None]
        weights = weighting.groups * self.base
        total = (weights @ self._sizes)[:, None] + unseen
        by_name = {}
        for suffix, chances in self._chances.items():
            for name, metric in (("log_loss", calibration.log_losses), ("brier", calibration.brier)):
                losses = metric(chances, truth)
                sums = np.stack([np.bincount(group, row, self.units.groups) for row in losses])
                # the log loss has no bound: all that is unseen is as bad as the worst image
                worst = losses.max(axis=1) if name == "log_loss" else 1.0 if self.units.classes == 2 else 2.0
                seen = weights @ sums.T
                by_name[f"{name}{suffix}"] = np.stack([seen + unseen * worst, seen]) / total
        return by_name

    def ranked(self, weighting: Weighting, number: int) -> dict[str, Floats]:
        """ROC area and average precision of a class, name → float64 [2, draws, models]: unseen images wrong, right."""
        weights, own = weighting.groups * self.base, weighting.unseen[:, number]
        others = weighting.unseen.sum(axis=1) - own
        each = [model[number].areas(weights, own, others) for model in self._rankings]
        return {name: np.stack(values, axis=-1) for name, values in zip(RANKED, zip(*each, strict=True), strict=True)}

    def _calibration_errors(self) -> dict[str, Floats]:
        truth, group = self.units.truth, self.units.group
        return {
            f"calibration_error{suffix}": np.concatenate(
                [calibration.calibration_error(model, truth, group, self.base[None]) for model in chances]
            )
            for suffix, chances in self._chances.items()
        }


def counted_names(classes: int) -> list[str]:
    """Names of the metrics of confusion counts."""
    shares = [name for name in hits_and_trials(np.zeros((1, 1))) if name != "accuracy"]
    return [*OVERALL, *(f"{name}/{number}" for name in (*shares, "f1") for number in range(classes))]


def of_counts(counts: np.ndarray, name: str) -> Floats:
    """One metric of confusion counts [..., K, K] → [...], NaN where it is undefined."""
    metric, _, number = name.partition("/")
    if not number:
        return np.asarray(OVERALL[metric](counts), dtype=np.float64)
    if metric == "f1":
        return np.asarray(f1(counts)[..., int(number)], dtype=np.float64)
    hits, trials = (part[..., int(number)] for part in hits_and_trials(counts)[metric])
    shares = np.full(hits.shape, np.nan)
    np.divide(hits, trials, out=shares, where=trials > 0)
    return shares


def mean_of_defined(values: np.ndarray, axis: int) -> Floats:
    """Over the values that are defined, NaN where none is."""
    defined = np.isfinite(values)
    count = defined.sum(axis=axis)
    total = np.where(defined, values, 0.0).sum(axis=axis)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
