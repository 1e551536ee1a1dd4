"""The single repeats behind a summary, found by configuration: loss and accuracy by epoch, of tasks with classes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from orchestrator.results.class_recalls import selected_counts
from orchestrator.results.configuration_summary import ConfigurationSummary
from orchestrator.results.summary import Summary
from trainables.learning.tasks.confusion import images, right

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Single:
    """One repeat; `loss` is float64 [epochs + 1, 2], of train and valid."""

    repeat: int
    selected: int
    loss: Floats
    hits: NDArray[np.int64]
    """Images predicted right, [epochs + 1, 2]; `images` [2] of each split."""
    images: NDArray[np.int64]

    @property
    def accuracy(self) -> Floats:
        share: Floats = np.divide(self.hits, self.images, out=np.full(self.hits.shape, np.nan), where=self.images > 0)
        return share


class Histories:
    """All repeats of a summary."""

    def __init__(self, summary: Summary) -> None:
        repeats = self._repeats = summary.repeats
        names = (repeats.table[name].tolist() for name in ("partition", "configuration"))
        self._first: dict[tuple[str, str], int] = {}
        for row, key in enumerate(zip(*names, strict=True)):
            self._first.setdefault(key, row)
        self._start = repeats.start
        self._loss = repeats.loss[:, :2]
        self._counts = repeats.statistics[:, :2]

    @cached_property
    def _hits(self) -> NDArray[np.int64]:
        hits: NDArray[np.int64] = right(self._counts).sum(axis=-1)
        return hits

    @cached_property
    def _images(self) -> NDArray[np.int64]:
        return images(self._counts[self._start[:-1]])

    def selected_counts(self, member: ConfigurationSummary) -> NDArray[np.int64]:
        """Confusion counts of the valid split at the selected epoch of every repeat that has a result; [n, K, K]."""
        return selected_counts(self._repeats, self._first.get((member.partition, member.id), 0), member, "valid")

    def of(self, member: ConfigurationSummary) -> list[Single]:
        """Every repeat of a configuration that has a result, in order."""
        if member.selected_epochs is None:
            return []
        first = self._first[member.partition, member.id] + member.screened
        singles = []
        for place, repeat in enumerate(member.with_result):
            at = slice(int(self._start[first + place]), int(self._start[first + place + 1]))
            selected = int(member.selected_epochs.values[place])
            singles.append(Single(repeat, selected, self._loss[at], self._hits[at], self._images[first + place]))
        return singles
