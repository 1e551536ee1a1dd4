"""The contract of a task: what is predicted, what each image loses, what a split is counted into."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch

from search_spaces.settings import data as settings


class Task(Protocol):
    """What learning asks of a task. `search_spaces.settings.data.TASKS` names them all.

    Its variant there declares what is asked without torch too: the width of the last layer, how many images its
    statistics count, and its metrics, functions of loss and statistics alone. So every other number follows from a
    history, and readers load nothing that learns.
    """

    shape: tuple[int, ...]
    """Of the statistics of one split at one epoch."""

    def __init__(self, data: settings.Data) -> None:
        """data: of the study."""

    def targets(self, labels: torch.Tensor) -> torch.Tensor:
        """Of a training loss, float32 [R, 1, B, outputs], by labels int64 [R, B]; they may be mixed."""

    def losses(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """What histories and selection look at, whatever is trained by: unweighted, of each image, float32 [lanes, N]
        by logits [lanes, N, outputs] and labels int64 [N]."""

    def predictions(self, logits: torch.Tensor) -> torch.Tensor:
        """What is said of each image, [lanes, N], by logits [lanes, N, outputs]."""

    def statistics(self, truth: np.ndarray, predicted: np.ndarray) -> np.ndarray:
        """Sums over the images of a split, int32 [lanes, *shape], by labels [N] and predictions [lanes, N].

        Of two disjoint splits together they are those of both added.
        """


def task_of(data: settings.Data) -> Task:
    kind: type[Task] = settings.TASKS.load(data.task)
    return kind(data)
