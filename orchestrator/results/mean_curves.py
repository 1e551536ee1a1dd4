"""Mean curves with their deviation, of all configurations at once: one pass over the epochs of all repeats."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orchestrator.results.flat_scores import FlatScores
from orchestrator.store.schema import Metric

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Curve:
    """Per epoch mean and standard deviation (NaN where n < 2), float64 [epochs + 1], over the finished repeats (not
    diverged) that have the epoch: n, int64 [epochs + 1], which falls where some have more epochs than others."""

    mean: Floats
    std: Floats
    n: NDArray[np.int64]


class MeanCurves:
    """Of configurations that lie in the rows `ranges` of the table of repeats; sums run in the order of the repeats."""

    def __init__(self, flat: FlatScores, ranges: Iterable[range]) -> None:
        self._places: dict[int, slice] = {}
        ranges, counts = list(ranges), np.zeros(len(flat.diverged), dtype=bool)
        for rows in ranges:
            counts[rows.start : rows.stop] = True
        lengths = np.where(flat.diverged | ~counts, 0, flat.trained + 1)
        offset = np.zeros(len(lengths), dtype=np.int64)
        end = 0
        for rows in ranges:
            longest = int(lengths[rows.start : rows.stop].max(initial=0))
            offset[rows.start : rows.stop] = end
            self._places[rows.start] = slice(end, end + longest)
            end += longest
        first = np.cumsum(lengths) - lengths
        epoch = np.arange(lengths.sum()) - np.repeat(first, lengths)
        self._rows = np.repeat(flat.repeats.start[:-1], lengths) + epoch
        self._targets = np.repeat(offset, lengths) + epoch
        self._n = np.bincount(self._targets, minlength=end)
        splits = range(len(flat.repeats.splits))
        self._curves = {
            (metric, column): self._of_all(values[:, column])
            for metric, values in flat.metrics.items()
            for column in splits
        }

    def of(self, rows: range, metric: Metric, column: int) -> Curve:
        """Of the configuration in these rows and the split in this column; no epochs where no repeat is finished."""
        at = self._places[rows.start]
        mean, std = self._curves[metric, column]
        return Curve(mean[at], std[at], self._n[at])

    def _of_all(self, every: Floats) -> tuple[Floats, Floats]:
        values = every[self._rows]
        mean = np.bincount(self._targets, values, len(self._n)) / self._n
        with np.errstate(invalid="ignore"):  # a loss that is infinite
            away = values - mean[self._targets]
        squares = np.bincount(self._targets, away * away, len(self._n))
        return mean, np.sqrt(squares / np.where(self._n > 1, self._n - 1, np.nan))
