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
TOGETHER = ("accuracy", "recall", "specificity", "brier", "log_loss")
"""One share or mean over all images that are counted; the others are made of classes."""
LOSSES = ("brier", "log_loss", "calibration_error")
"""Smaller is better."""
_TWICE_AS_WIDE = ("mcc", "kappa")
"""Of −1 … 1: they take twice as many groups."""
_SHOWN = 3
_BIASED = "the bootstrap of the calibration error is biased upwards"


class Drawn:
    """Metrics under one set of weightings, each kind computed when it is first asked for."""

    def __init__(self, resampled: Resampled, weighting: Weighting) -> None:
        self.counts = functools.cache(functools.partial(resampled.weighted_counts, weighting))
        self.averaged = functools.cache(functools.partial(resampled.averaged, weighting))
        self.ranked = functools.cache(functools.partial(resampled.ranked, weighting))
        whole = range(resampled.counts.shape[-1])
        self.classes = whole if resampled.positive is None else (resampled.positive,)

    def of(self, name: str) -> Floats:
        """float64 [2, draws], the mean over the models in which it is defined: unseen images wrong, right."""
        metric = name.partition("/")[0]
        if metric in RANKED:
            values = mean_of_defined(np.stack([self.ranked(k)[metric] for k in self.classes]), axis=0)
        elif metric.removesuffix("_scaled") in LOSSES:
            values = self.averaged()[name]
        else:
            values = of_counts(self.counts(), name)
        return mean_of_defined(values, axis=-1)


class _View:
    """All classes, or one against the rest. images: [groups, classes] as they count; names: of the classes."""

    def __init__(self, resampled: Resampled, images: np.ndarray, names: Sequence[str]) -> None:
        self.resampled = resampled
        self.images = images
        self.names = names
        self.held = (images > 0).sum(axis=0)
        self.drawn: dict[tuple[bool, tuple[int, ...]], Drawn] = {}


class Limits:
    """Of one set of units. classes: their names; draws, seed: of the bootstrap.

    Ask for the metrics of one class together: the weightings of another are forgotten then.
    """

    def __init__(self, resampled: Resampled, classes: tuple[str, ...], draws: int, seed: int) -> None:
        self.classes = classes
        self.draws = draws
        self.seed = seed
        images = resampled.units.per_class() * resampled.base[:, None]
        self._whole = _View(resampled, images, classes)
        self._one = "", self._whole
        self.held = self._whole.held

    def of(self, name: str) -> tuple[Interval | None, str, bool]:
        """(interval, "" or the reason why there is none, whether it is that a class has too few groups)."""
        metric, _, number = name.partition("/")
        plain = metric.removesuffix("_scaled")
        if plain == "calibration_error":
            return None, _BIASED, False
        view = self._view(number)
        # of one class against the rest, number 1 is the class
        counted = {"recall": (1,), "specificity": (0,)}.get(plain, tuple(range(len(view.names))))
        few = [k for k in counted if view.held[k] < LEAST_GROUPS]
        if few:
            told = [f"{view.names[k]}: {count_of(int(view.held[k]), 'test group')}" for k in few]
            return None, listed(told), True
        images = np.zeros_like(view.images)
        images[:, counted] = view.images[:, counted]
        together = plain in TOGETHER
        if too_few(images, together, (2 if plain in _TWICE_AS_WIDE else 1) * LEAST_ALIKE):
            return None, "too few groups, or most images lie in a few of them", False
        if (together, counted) not in view.drawn:
            weighting = weightings(images, together, self.draws, self.seed)
            view.drawn[together, counted] = Drawn(view.resampled, weighting)
        wrong, right = view.drawn[together, counted].of(f"{metric}/1" if number else metric)
        low, high = limits(right, wrong) if plain in LOSSES else limits(wrong, right)
        if not np.isfinite([low, high]).all():
            return None, "undefined in most draws", False
        if high - low > WIDEST and plain != "log_loss":
            return None, f"too few groups: the interval would be wider than {WIDEST}", False
        groups = int((images > 0).any(axis=1).sum())
        return Interval(low=low, high=high, method=METHOD, groups=groups, draws=self.draws), "", False

    def absent(self) -> str:
        """Classes without images, in words."""
        return listed([name for name, held in zip(self.classes, self.held, strict=True) if not held])

    def _view(self, number: str) -> _View:
        if not number:
            return self._whole
        if self._one[0] != number:
            k, whole = int(number), self._whole
            images = np.stack([np.delete(whole.images, k, axis=1).sum(axis=1), whole.images[:, k]], axis=1)
            rest = self.classes[1 - k] if len(self.classes) == 2 else f"not {self.classes[k]}"
            self._one = number, _View(whole.resampled.against(k), images, (rest, self.classes[k]))
        return self._one[1]


def listed(parts: Sequence[str]) -> str:
    """The first of them, and how many more classes there are."""
    more = [f"and {count_of(len(parts) - _SHOWN, 'more class')}"] if len(parts) > _SHOWN else []
    return ", ".join([*parts[:_SHOWN], *more])


def count_of(number: int, what: str) -> str:
    """ "no test groups", "1 test group", "3 more classes"."""
    many = f"{what}es" if what.endswith("s") else f"{what}s"
    return f"no {many}" if number == 0 else f"{number} {many if number > 1 else what}"
