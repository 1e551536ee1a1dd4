"""Every metric of every epoch of every repeat, computed once over flat arrays."""

from __future__ import annotations

from typing import get_args

import numpy as np
from numpy.typing import NDArray

from orchestrator.histories import Repeats
from orchestrator.store.schema import History, Metric
from trainables import metrics

Floats = NDArray[np.float64]
METRICS: tuple[Metric, ...] = get_args(Metric)
_BLOCK = 4_000_000
"""Confusion counts scored at a time: bounds the memory of the intermediate float64 copies."""


class FlatScores:
    """metrics: float64 [rows, splits] each, rows as in `repeats`; beside them the columns that selection needs."""

    def __init__(self, repeats: Repeats) -> None:
        self.repeats = repeats
        self.seconds = repeats.table["seconds"].to_numpy(dtype=np.float64, na_value=0.0)
        self.diverged = (repeats.table["state"] == "diverged").to_numpy()
        self.epochs = repeats.table["epochs"].to_numpy(dtype=np.int64)
        self.trained = repeats.table["history_epochs"].to_numpy(dtype=np.int64)
        self.numbers = repeats.table["repeat"].to_numpy(dtype=np.int64)
        self.total_parameters = repeats.table["total_parameters"].tolist()
        self.trainable_parameters = repeats.table["trainable_parameters"].tolist()
        self.metrics: dict[Metric, Floats] = {metric: self._scored(metric) for metric in METRICS}
        self._selection: dict[tuple[Metric, bool], Floats] = {}

    def selection(self, metric: Metric, valid_alone: bool) -> Floats:
        """What selection looks at, [rows], larger is better."""
        key = metric, valid_alone
        if key not in self._selection:
            loss, confusion = self.repeats.loss[:, :2], self.repeats.confusion[:, :2]
            parts = [
                metrics.selection_scores(
                    metric, History(("train", "valid"), loss[block], confusion[block]), valid_alone
                )
                for block in self._blocks()
            ]
            self._selection[key] = np.concatenate(parts)
        return self._selection[key]

    def _scored(self, metric: Metric) -> Floats:
        loss, confusion = self.repeats.loss, self.repeats.confusion
        values = np.concatenate([metrics.scores(metric, loss[block], confusion[block]) for block in self._blocks()])
        return np.where(np.isnan(loss) & (confusion.sum(axis=(2, 3)) == 0), np.nan, values)

    def _blocks(self) -> list[slice]:
        rows = len(self.repeats.loss)
        step = max(1, _BLOCK // max(1, int(np.prod(self.repeats.confusion.shape[1:]))))
        return [slice(first, first + step) for first in range(0, max(rows, 1), step)]
