"""The metrics of tasks with classes, as `search_spaces.settings.selection.METRICS` names them."""

from __future__ import annotations

import numpy as np

from trainables.learning.tasks import confusion
from trainables.learning.tasks.confusion import Floats


def accuracy(loss: np.ndarray, counts: np.ndarray) -> Floats:
    return confusion.accuracy(counts)


def balanced_accuracy(loss: np.ndarray, counts: np.ndarray) -> Floats:
    return confusion.balanced_accuracy(counts)


def macro_f1(loss: np.ndarray, counts: np.ndarray) -> Floats:
    return confusion.macro_f1(counts)
