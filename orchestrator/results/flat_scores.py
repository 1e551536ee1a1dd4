"""Every metric of every epoch of every repeat, computed once over flat arrays."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
from numpy.typing import NDArray

from orchestrator.results.histories import Repeats
from orchestrator.store.schema import History, Metric
from search_spaces.settings.data import TASKS
from trainables.learning import metrics

Floats = NDArray[np.float64]
_BLOCK = 2_000_000
"""Numbers of the statistics that a thread scores at a time: bounds the memory of the intermediate float64 copies."""
_THREADS = 2


def metrics_of(repeats: Repeats, task: str) -> tuple[Metric, ...]:
    """What there are scores by: what the task counts, then what is measured because some repeat selects by it."""
    variant, selections = TASKS.variants[task], set(repeats.table["selection"])
    return (*variant.counted, *(name for name in variant.metrics if metrics.is_measured(name) and name in selections))


class FlatScores:
    """metrics: `metrics_of`, float64 [rows, splits] each, rows as in `repeats`; beside them the columns that
    selection needs. One that is measured is NaN in repeats that select by another."""

    def __init__(self, repeats: Repeats, task: str) -> None:
        self.repeats = repeats
        self.seconds = repeats.table["seconds"].to_numpy(dtype=np.float64, na_value=0.0)
        self.stopped = (repeats.table["state"] == "stopped").to_numpy()
        self.diverged = (repeats.table["state"] == "diverged").to_numpy()
        self.epochs = repeats.table["epochs"].to_numpy(dtype=np.int64)
        self.trained = repeats.table["history_epochs"].to_numpy(dtype=np.int64)
        self.numbers = repeats.table["repeat"].to_numpy(dtype=np.int64)
        self.total_parameters = repeats.table["total_parameters"].tolist()
        self.trainable_parameters = repeats.table["trainable_parameters"].tolist()
        missing = np.isnan(repeats.loss)
        if missing.any():
            missing[missing] = metrics.images(task, repeats.statistics[missing]) == 0
        with ThreadPoolExecutor(_THREADS) as pool:
            names = TASKS.variants[task].counted
            scored = pool.map(partial(self._scored, missing), names)
            self.metrics: dict[Metric, Floats] = dict(zip(names, scored, strict=True))
        for metric in metrics_of(repeats, task)[len(names) :]:
            self.metrics[metric] = repeats.measured_by(metric)
        self._selection: dict[tuple[Metric, bool], Floats] = {}

    def selection(self, metric: Metric, valid_alone: bool) -> Floats:
        """What selection looks at, [rows], larger is better."""
        key = metric, valid_alone
        if key not in self._selection:
            loss, statistics = self.repeats.loss[:, :2], self.repeats.statistics[:, :2]
            measured = self.repeats.measured_by(metric)[:, :2] if metrics.is_measured(metric) else None
            parts = [
                metrics.selection_scores(
                    metric,
                    History(
                        ("train", "valid"),
                        loss[block],
                        statistics[block],
                        None if measured is None else measured[block],
                    ),
                    valid_alone,
                )
                for block in self._blocks()
            ]
            self._selection[key] = np.concatenate(parts)
        return self._selection[key]

    def _scored(self, missing: NDArray[np.bool_], metric: Metric) -> Floats:
        loss, statistics = self.repeats.loss, self.repeats.statistics
        values = np.concatenate([metrics.scores(metric, loss[block], statistics[block]) for block in self._blocks()])
        values[missing] = np.nan
        return values

    def _blocks(self) -> list[slice]:
        rows = len(self.repeats.loss)
        step = max(1, _BLOCK // max(1, int(np.prod(self.repeats.statistics.shape[1:]))))
        return [slice(first, first + step) for first in range(0, max(rows, 1), step)]
