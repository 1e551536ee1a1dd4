"""Every metric for many weightings of the groups at once: all groups once, or as a bootstrap drew them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from orchestrator.evaluation import calibration
from orchestrator.evaluation.counts import OVERALL, confusion, hits_and_trials
from orchestrator.evaluation.ranking import Ranking
from orchestrator.evaluation.samples import Units
from trainables.learning.tasks.confusion import f1

Floats = NDArray[np.float64]

CHUNK_VALUES = 20_000_000
"""Weights of images that are held at a time."""


class Resampled:
    """Metrics of one set of units. Names are "accuracy" …, and "recall/0" … for class number 0.

    temperatures: per model; () leaves out the metrics of scaled probabilities. positive: of a binary task the class
    whose area and average precision stand for the whole.
    """

    def __init__(self, units: Units, temperatures: tuple[float, ...], positive: int | None) -> None:
        self.units = units
        self.positive = positive
        self.counts = confusion(units.truth, units.predicted, units.group, units.classes, units.groups)
        self._chances = {"": units.chances}
        if temperatures:
            divided = np.log(np.maximum(units.chances, 1e-300)) / np.array(temperatures)[:, None, None]
            self._chances["_scaled"] = np.exp(log_softmax(divided, axis=-1))
        self._rankings = [
            [Ranking(model[:, number], units.truth == number) for number in range(units.classes)]
            for model in units.chances
        ]
        self._sizes = np.bincount(units.group, minlength=units.groups).astype(np.float64)

    def values(self, weights: np.ndarray) -> dict[str, Floats]:
        """Name → float64 [draws, models] for weights of the groups, float [draws, groups]."""
        return {**self._counted(weights), **self._averaged(weights), **self._ranked(weights)}

    def _counted(self, weights: np.ndarray) -> dict[str, Floats]:
        models, groups, classes, _ = self.counts.shape
        flat = self.counts.transpose(1, 0, 2, 3).reshape(groups, -1)
        counts = (weights @ flat).reshape(len(weights), models, classes, classes)
        found = {name: np.asarray(metric(counts)) for name, metric in OVERALL.items()}
        for name, (hits, trials) in hits_and_trials(counts).items():
            if name != "accuracy":
                with np.errstate(invalid="ignore", divide="ignore"):
                    found |= _by_class(name, np.where(trials > 0, hits / trials, np.nan))
        return found | _by_class("f1", f1(counts))

    def _averaged(self, weights: np.ndarray) -> dict[str, Floats]:
        """Log loss, Brier score and calibration error, of plain and of scaled probabilities."""
        truth, group = self.units.truth, self.units.group
        total = (weights @ self._sizes)[:, None]
        found = {}
        for suffix, chances in self._chances.items():
            for name, metric in (("log_loss", calibration.log_losses), ("brier", calibration.brier)):
                sums = np.stack([np.bincount(group, row, self.units.groups) for row in metric(chances, truth)])
                found[f"{name}{suffix}"] = (weights @ sums.T) / total
            errors = [calibration.calibration_error(model, truth, group, weights) for model in chances]
            found[f"calibration_error{suffix}"] = np.stack(errors, axis=1)
        return found

    def _ranked(self, weights: np.ndarray) -> dict[str, Floats]:
        models, classes = len(self.units.chances), self.units.classes
        areas = np.full((2, len(weights), models, classes), np.nan)
        step = max(1, CHUNK_VALUES // max(1, len(self.units.truth)))
        for start in range(0, len(weights), step):
            rows = slice(start, start + step)
            spread = weights[rows][:, self.units.group]
            for model in range(models):
                for number in range(classes):
                    areas[:, rows, model, number] = self._rankings[model][number].areas(spread)
        found: dict[str, Floats] = {}
        for name, values in zip(("roc_auc", "average_precision"), areas, strict=True):
            found |= _by_class(name, values)
            found[name] = _mean(values) if self.positive is None else values[..., self.positive]
        return found


def _by_class(name: str, values: np.ndarray) -> dict[str, Floats]:
    return {f"{name}/{number}": values[..., number] for number in range(values.shape[-1])}


def _mean(values: np.ndarray) -> Floats:
    """Over the classes for which it is defined, NaN where it is for none; [..., K] → [...]."""
    defined = np.isfinite(values)
    count = defined.sum(axis=-1)
    total = np.where(defined, values, 0.0).sum(axis=-1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
