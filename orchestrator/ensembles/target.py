"""What an ensemble is made for: a metric of selection, of weighted images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orchestrator.store.errors import InputError
from orchestrator.store.schema import Metric
from search_spaces.configuration import Configuration
from search_spaces.faults import did_you_mean, nearest
from search_spaces.settings.data import TASKS
from search_spaces.settings.selection import METRICS
from trainables.learning import metrics

Floats = NDArray[np.float64]

OF_ONE_CLASS = ("class_precision", "class_recall", "class_f1")
"""Measured, but functions of confusion counts."""
_LEAST = float(np.finfo(np.float64).eps)
"""Probabilities are at least this in a loss, as in scikit-learn."""


@dataclass(frozen=True)
class Target:
    """configuration: any of the study, with this metric in its `selection`."""

    configuration: Configuration

    @property
    def metric(self) -> Metric:
        return self.configuration.selection.metric

    @property
    def words(self) -> str:
        return self.configuration.selection.words

    @property
    def is_loss(self) -> bool:
        return metrics.is_loss(self.metric)

    @property
    def of_counts(self) -> bool:
        """Whether loss and confusion counts say it; else the order of probabilities does."""
        return not metrics.is_measured(self.metric) or self.metric in OF_ONE_CLASS

    def better(self, values: np.ndarray) -> Floats:
        """The same with larger being better; minus infinity where it is not defined."""
        signed = -values if self.is_loss else values
        return np.where(np.isfinite(signed), signed, -np.inf)

    def of(self, loss: Floats, counts: Floats) -> Floats:
        """[...] of mean losses [...] and confusion counts [..., K, K]; where `of_counts`."""
        if not metrics.is_measured(self.metric):
            return metrics.scores(self.metric, loss, counts)
        return self._measured(None, np.zeros(0, dtype=np.int64), counts.reshape(-1, *counts.shape[-2:])).reshape(
            loss.shape
        )

    def scores(self, chances: Floats, truth: NDArray[np.int64], weights: NDArray[np.int64] | None = None) -> Floats:
        """float64 [P] of probabilities [P, N, K]; weights: how often each image counts, int64 [N], once if none."""
        often = np.ones(len(truth), dtype=np.int64) if weights is None else weights
        if self.of_counts:
            counts = counted(chances.argmax(axis=-1), truth, chances.shape[-1], often)
            return self.of(losses(chances, truth) @ often / np.maximum(often.sum(), 1), counts)
        rows = np.repeat(np.arange(len(truth)), often)
        chances, truth = chances[:, rows], truth[rows]
        counts = counted(chances.argmax(axis=-1), truth, chances.shape[-1], np.ones(len(truth), dtype=np.int64))
        return self._measured(chances, truth, counts)

    def _measured(self, chances: Floats | None, truth: NDArray[np.int64], counts: Floats) -> Floats:
        import torch

        from trainables.learning.tasks.measured import Outputs

        logits = np.zeros((len(counts), 0, 1)) if chances is None else np.log(np.maximum(chances, 1e-300))
        scores: Floats = METRICS.load(self.metric)(Outputs(self.configuration, torch.from_numpy(logits), truth, counts))
        return scores


def losses(chances: Floats, truth: NDArray[np.int64]) -> Floats:
    """Nats per image, float64 [..., N], of probabilities [..., N, K]."""
    own = np.take_along_axis(chances, np.broadcast_to(truth[:, None], (*chances.shape[:-1], 1)), axis=-1)[..., 0]
    nats: Floats = -np.log(np.maximum(own, _LEAST))
    return nats


def counted(predicted: np.ndarray, truth: NDArray[np.int64], classes: int, weights: NDArray[np.int64]) -> Floats:
    """Confusion counts float64 [P, K, K] of predicted classes [P, N]."""
    lanes = len(predicted)
    cell = (np.arange(lanes)[:, None] * classes + truth) * classes + predicted
    often = np.broadcast_to(weights.astype(np.float64), predicted.shape)
    counts = np.bincount(cell.ravel(), often.ravel(), minlength=lanes * classes * classes)
    return counts.astype(np.float64).reshape(lanes, classes, classes)


def target_of(like: Configuration, metric: Metric, of_class: str | None, precision: float | None, study: str) -> Target:
    """The metric as it was asked for; what is left out of it is as in `like`, where that selects by it.

    Raises InputError for a metric that the task has not, a class that there is not, one that is not named and one too
    many.
    """
    classes, task, uses = like.data.classes, TASKS.variants[like.data.task], METRICS.variants[metric].uses
    again = f"orch ensemble {study} --metric {metric}"
    if metric not in task.metrics:
        raise InputError(f"--metric {metric}: expected one of {', '.join(task.metrics)}", f"orch ensemble {study}")
    values: dict[str, object] = {"selection.metric": metric}
    if of_class is not None and "of_class" not in uses:
        raise InputError(f"--class {of_class}: expected a --metric of one class as well, found {metric}", again)
    if precision is not None and "precision" not in uses:
        raise InputError(
            f"--precision {precision:g}: expected --metric recall_at_precision as well, found {metric}", again
        )
    if "of_class" in uses:
        same = like.selection.of_class if like.selection.metric == metric else ""
        named = of_class or same or (classes[1] if like.data.task == "binary" else "")
        if named not in classes:
            meant = did_you_mean(nearest(named, classes)) if named else ""
            typed = repr(named) if named else "none"
            raise InputError(
                f"--metric {metric} scores one class: expected --class with one of {', '.join(classes)}, found {typed}"
                f"{meant}",
                f"{again} --class {classes[0]!r}",
            )
        values["selection.of_class"] = named
    if precision is not None:
        values["selection.precision"] = precision
    return Target(like.with_values(values))
