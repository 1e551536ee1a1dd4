"""What a configuration's score hides of single classes: how many images each has, and how many are predicted right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orchestrator.results.configuration_summary import ConfigurationSummary
from orchestrator.results.histories import Repeats
from orchestrator.results.names import counted
from orchestrator.results.summary import Summary
from search_spaces.settings.data import TASKS
from trainables.learning.tasks.confusion import images_of_classes, recall

FEW = 5
"""Images; a recall of fewer says next to nothing."""
_SPLITS = ("train", "valid")


@dataclass(frozen=True)
class ClassRecall:
    """train and valid: its images. recall: on valid at the selected epochs, mean over the repeats; None without any."""

    name: str
    train: int
    valid: int
    recall: float | None

    @property
    def words(self) -> str:
        """`3 validation images, recall 0`; "" where there is nothing to warn of."""
        counts = ((self.train, "training"), (self.valid, "validation"))
        told = [counted(number, f"{split} image") for number, split in counts if number < FEW]
        return ", ".join([*told, *(["recall 0"] if self.recall == 0 else [])])

    def data(self) -> dict[str, Any]:
        return {"class": self.name, "train": self.train, "valid": self.valid, "recall": self.recall}


def selected_counts(repeats: Repeats, first: int, member: ConfigurationSummary, split: str) -> NDArray[np.int64]:
    """Confusion counts at the selected epoch of every repeat that has a result; [n, K, K]. first: row of the member's
    first repeat."""
    if member.selected_epochs is None:
        return np.zeros((0, *repeats.statistics.shape[2:]), np.int64)
    first += member.screened
    epochs = repeats.start[first : first + member.n] + member.selected_epochs.values.astype(np.int64)
    counts: NDArray[np.int64] = repeats.statistics[epochs, _SPLITS.index(split)].astype(np.int64)
    return counts


def class_recalls(summary: Summary, member: ConfigurationSummary) -> list[ClassRecall]:
    """Of every class in its order; [] of a task without classes, or without a result."""
    if member.selected_epochs is None or not TASKS.variants[summary.study.task].has_confusion:
        return []
    table = summary.repeats.table
    mine = (table["partition"] == member.partition) & (table["configuration"] == member.id)
    first = int(np.flatnonzero(mine)[0])
    train, valid = (selected_counts(summary.repeats, first, member, split) for split in _SPLITS)
    images = [images_of_classes(counts[0]).tolist() for counts in (train, valid)]
    rows = zip(summary.study.classes, *images, recall(valid).mean(axis=0).tolist(), strict=True)
    return [ClassRecall(name, a, b, None if np.isnan(share) else share) for name, a, b, share in rows]


def weak_words(recalls: Sequence[ClassRecall]) -> str:
    """Names classes with fewer than FEW images or a recall of zero; "" where there is none."""
    told = [f"{one.name} ({one.words})" for one in recalls if one.words]
    return f"Little is known about classes with few images, or none predicted right: {', '.join(told)}." if told else ""
