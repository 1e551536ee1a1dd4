"""The best of several configurations without the luck of the repeats that chose it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from orchestrator.statistics.paired import oriented

Floats = NDArray[np.float64]


def cross_chosen(choosing: np.ndarray, scored: np.ndarray, higher_is_better: bool) -> Floats:
    """Per repeat the score of the configuration that is best in the mean of all other repeats; float64 [repeats].

    choosing, scored: [configurations, repeats], the value that selects (of the given direction) and the value reported.
    Only repeats that all configurations have count; [] where there are fewer than two of them. The groups of images are
    the same in all repeats, so this takes away the luck of repeats, not that of the validation split.
    """
    values, report = oriented(choosing, higher_is_better), np.asarray(scored, dtype=np.float64)
    common = np.isfinite(values).all(axis=0) & np.isfinite(report).all(axis=0)
    values, report = values[:, common], report[:, common]
    if values.shape[1] < 2:
        return np.zeros(0)
    others = values.sum(axis=1, keepdims=True) - values
    best = np.argmax(others, axis=0)
    chosen: Floats = report[best, np.arange(values.shape[1])]
    return chosen
