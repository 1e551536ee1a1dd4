"""Scores from loss and a task's statistics, and the one rule that picks a repeat's epoch. NumPy only.

A metric that follows from neither is measured when a split is scored, and stands in the history of what selects by it.
Every function takes arrays of any leading shape: loss [...], statistics [..., *shape].
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from orchestrator.store.schema import History, Metric
from search_spaces.settings.choice import imported
from search_spaces.settings.data import TASKS
from search_spaces.settings.selection import METRICS

Floats = NDArray[np.float64]


def scores(metric: Metric, loss: np.ndarray, statistics: np.ndarray) -> Floats:
    """The named metric, one that is counted, float64 [...]."""
    if not loss.size:  # of a study without results, whose statistics have no shape yet
        return loss.astype(np.float64)
    of: Callable[[np.ndarray, np.ndarray], Floats] = METRICS.load(metric)
    return of(loss, statistics)


def mean_loss(loss: np.ndarray, statistics: np.ndarray) -> Floats:
    """The loss itself."""
    return loss.astype(np.float64)


def is_loss(metric: Metric) -> bool:
    """Whether smaller is better."""
    return METRICS.variants[metric].is_loss


def is_measured(metric: object) -> bool:
    """Whether histories of what selects by it hold its values; False of what is no metric."""
    return isinstance(metric, str) and metric in METRICS.variants and METRICS.variants[metric].is_measured


def images(task: str, statistics: np.ndarray) -> np.ndarray:
    """How many images the statistics of a task count, [...]."""
    count: Callable[[np.ndarray], np.ndarray] = imported(TASKS.variants[task].images)
    return count(statistics)


def selection_scores(metric: Metric, history: History, valid_alone: bool = True) -> Floats:
    """Per epoch the value that selection looks at, [epochs + 1]; larger is always better (a loss is negated).

    It is of valid alone, or of the worse of train and valid, in which a validation epoch ahead of training is worth no
    more than its training score: `selection.rule` says which. An epoch with a value that is not finite counts as minus
    infinity.
    """
    values = scores(metric, history.loss, history.statistics) if history.measured is None else history.measured
    if is_loss(metric):
        values = -values
    valid = values[:, history.splits.index("valid")]
    looked_at = valid if valid_alone else np.minimum(values[:, history.splits.index("train")], valid)
    return np.where(np.isfinite(looked_at), looked_at, -np.inf)


def selected_epoch(metric: Metric, history: History, valid_alone: bool = True) -> int:
    """The epoch that stands for the repeat; ties go to the earliest."""
    return int(np.argmax(selection_scores(metric, history, valid_alone)))
