"""Which interval a metric gets, decided by numbers and sizes of groups, or the reason why it has none."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from orchestrator.evaluation.intervals import (
    LEAST_ALIKE,
    METHOD,
    WIDEST,
    Weighting,
    limits,
    too_few,
    weightings,
)
from orchestrator.evaluation.record import Interval
from orchestrator.evaluation.resampling import RANKED, Resampled, mean_of_defined, of_counts

Floats = NDArray[np.float64]

LEAST_GROUPS = 5
"""Test groups that a class needs before a metric that counts its images has an interval."""
_TOGETHER = ("accuracy", "recall", "specificity", "brier", "log_loss")
"""One share or mean over all images that are counted; the others are made of classes."""
LOSSES = ("brier", "log_loss", "calibration_error")
"""Smaller is better."""
_TWICE_AS_WIDE = ("mcc", "kappa")
"""Of −1 … 1: they take twice as many groups."""
_SHOWN = 3
_BIASED = "a bootstrap of the calibration error is biased upwards"


class _Drawn:
    """Metrics under one set of weightings, each kind computed when it is first asked for."""

    def __init__(self, resampled: Resampled, weighting: Weighting) -> None:
        self.counts = functools.cache(functools.partial(resampled.weighted_counts, weighting))
        self.averaged = functools.cache(functools.partial(resampled.averaged, weighting))
        self.ranked = functools.cache(functools.partial(resampled.ranked, weighting))
        self.classes = range(resampled.units.classes)
        self.positive = resampled.positive

    def of(self, name: str, *, right: bool) -> Floats:
        """float64 [draws], the mean over the models in which it is defined."""
        metric, _, number = name.partition("/")
        if metric in RANKED:
            whole = self.classes if self.positive is None else (self.positive,)
            each = [self.ranked(k)[metric][int(right)] for k in ((int(number),) if number else whole)]
            return mean_of_defined(mean_of_defined(np.stack(each), axis=0), axis=1)
        if metric.removesuffix("_scaled") in LOSSES:
            return mean_of_defined(self.averaged(right=right)[name], axis=1)
        return mean_of_defined(of_counts(self.counts(right=right), name), axis=1)


class Limits:
    """Of one set of units. per_class: images [groups, K] as they count; classes: their names; draws, seed: of the
    bootstrap."""

    def __init__(self, resampled: Resampled, classes: tuple[str, ...], draws: int, seed: int) -> None:
        self.resampled = resampled
        self.classes = classes
        self.draws = draws
        self.seed = seed
        units = resampled.units
        self.held = units.groups_of_class()
        self.images = units.per_class() * resampled.base[:, None]
        self._known: dict[tuple[bool, tuple[int, ...]], _Drawn] = {}

    def of(self, name: str) -> tuple[Interval | None, str, bool]:
        """(interval, "" or the reason why there is none, whether it is that a class has too few groups)."""
        metric, _, number = name.partition("/")
        metric = metric.removesuffix("_scaled")
        if metric == "calibration_error":
            return None, _BIASED, False
        counted = tuple(self._counted(metric, number))
        few = [k for k in counted if self.held[k] < LEAST_GROUPS]
        if few:
            told = [f"{self.classes[k]}: {count_of(int(self.held[k]), 'test group')}" for k in few]
            return None, listed(told), True
        drawn, groups, reason = self._drawn(metric, counted)
        if drawn is None:
            return None, reason, False
        wrong, right = (drawn.of(name, right=which) for which in (False, True))
        low, high = limits(right, wrong) if metric in LOSSES else limits(wrong, right)
        if not np.isfinite([low, high]).all():
            return None, "undefined in most draws", False
        if high - low > WIDEST and metric != "log_loss":
            return None, f"too few groups, the interval is wider than {WIDEST}", False
        return Interval(low=low, high=high, method=METHOD, groups=groups, draws=self.draws), "", False

    def absent(self) -> str:
        """Classes without images, in words."""
        return listed([name for name, held in zip(self.classes, self.held, strict=True) if not held])

    def _drawn(self, metric: str, counted: tuple[int, ...]) -> tuple[_Drawn | None, int, str]:
        """Draws for metrics that count these classes and the number of groups that hold them, or why there is none."""
        images = np.zeros_like(self.images)
        images[:, counted] = self.images[:, counted]
        groups = int((images > 0).any(axis=1).sum())
        together = metric in _TOGETHER
        if too_few(images, together, (2 if metric in _TWICE_AS_WIDE else 1) * LEAST_ALIKE):
            return None, groups, "too few groups, or most images are in few of them"
        key = together, counted
        if key not in self._known:
            weighting = weightings(images, together, self.draws, self.seed)
            self._known[key] = _Drawn(self.resampled, weighting)
        return self._known[key], groups, ""

    def _counted(self, metric: str, number: str) -> Sequence[int]:
        """Classes whose units the metric counts."""
        if metric == "recall":
            return [int(number)]
        others = [k for k in range(len(self.classes)) if str(k) != number]
        return others if metric == "specificity" else range(len(self.classes))


def listed(parts: Sequence[str]) -> str:
    """The first of them, and how many more classes there are."""
    more = [f"and {count_of(len(parts) - _SHOWN, 'more class')}"] if len(parts) > _SHOWN else []
    return ", ".join([*parts[:_SHOWN], *more])


def count_of(number: int, what: str) -> str:
    """ "no test groups", "1 test group", "3 more classes"."""
    many = f"{what}es" if what.endswith("s") else f"{what}s"
    return f"no {many}" if number == 0 else f"{number} {many if number > 1 else what}"
