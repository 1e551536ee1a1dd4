"""All metrics of a set of units with their intervals over groups, or the reason why there is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from orchestrator.evaluation.counts import hits_and_trials
from orchestrator.evaluation.intervals import BOOTSTRAP, group_draws, mean_proportion, percentiles
from orchestrator.evaluation.record import ClassScores, Interval, Level, Score
from orchestrator.evaluation.resampling import Resampled
from orchestrator.evaluation.samples import Units

LEAST_GROUPS = 5
"""Test groups that a class needs before a metric that counts its images has an interval."""
BOOTSTRAP_GROUPS = 20
DRAWS = 2000
LEAST_DRAWS = 500
WORK = 160_000_000
"""Draws × models × classes × units that one bootstrap may take: a large test set gets fewer draws."""

OVERALL = ("accuracy", "balanced_accuracy", "macro_f1", "mcc", "kappa", "roc_auc", "average_precision")
TRUST = ("brier", "log_loss", "calibration_error")
PER_CLASS = ("recall", "specificity", "precision", "npv", "f1", "roc_auc", "average_precision")
_SHARES = ("accuracy", "recall", "specificity", "precision", "npv")
_SHOWN = 3
_BIASED = "a bootstrap of the calibration error is biased upwards"


@dataclass(frozen=True)
class Asked:
    """What is computed of a set of units. draws: of the bootstrap, 0 for none. positive: see `Resampled`."""

    classes: tuple[str, ...]
    unit: Literal["image", "group"] = "image"
    temperatures: tuple[float, ...] = ()
    draws: int = DRAWS
    seed: int = 0
    positive: int | None = None


def level(units: Units, asked: Asked) -> Level:
    """Score the units. Every value is the mean over the models, its interval that of this mean over groups."""
    resampled = Resampled(units, asked.temperatures, asked.positive)
    values = resampled.values(np.ones((1, units.groups)))
    limits = _Limits(units, asked, resampled)
    names = [*OVERALL, *TRUST, *(f"{name}_scaled" for name in TRUST if asked.temperatures)]
    per_class = units.per_class()
    classes = tuple(
        ClassScores(
            name=label,
            images=int(per_class[:, number].sum()),
            groups=int(units.groups_of_class()[number]),
            scores={name: limits.score(f"{name}/{number}", values[f"{name}/{number}"][0]) for name in PER_CLASS},
        )
        for number, label in enumerate(asked.classes)
    )
    counts = resampled.counts.sum(axis=1).round().astype(int)
    return Level(
        unit=asked.unit,
        count=len(units.truth),
        groups=units.groups,
        overall={name: limits.score(name, values[name][0]) for name in names},
        classes=classes,
        confusion=tuple(tuple(tuple(row) for row in model) for model in counts.tolist()),
    )


def binary_scores(called: np.ndarray, units: Units, number: int, name: str) -> dict[str, Score]:
    """Sensitivity, specificity, PPV and NPV of calls bool [models, N] of one class against the rest."""
    truth = (units.truth == number).astype(np.int64)
    chances = np.stack([1.0 - called, called.astype(np.float64)], axis=-1)
    two = Units(chances, truth, units.group, units.groups)
    found = level(two, Asked((f"not {name}", name), draws=0)).classes[1].scores
    return {
        "sensitivity": found["recall"],
        "specificity": found["specificity"],
        "ppv": found["precision"],
        "npv": found["npv"],
    }


class _Limits:
    """Decides which interval a metric gets, and computes the bootstrap once for all that need it."""

    def __init__(self, units: Units, asked: Asked, resampled: Resampled) -> None:
        self.units = units
        self.asked = asked
        self.shares = hits_and_trials(resampled.counts)
        self.held = units.groups_of_class()
        self.drawn: dict[str, NDArray[np.float64]] = {}
        cost = max(1, len(units.truth) * units.chances.shape[0] * units.classes)
        self.draws = min(asked.draws, max(LEAST_DRAWS, WORK // cost))
        if asked.draws and units.groups >= BOOTSTRAP_GROUPS and not self._too_few(range(units.classes)):
            self.drawn = resampled.values(group_draws(units.strata(), self.draws, asked.seed))

    def score(self, name: str, values: np.ndarray) -> Score:
        """values float64 [models], NaN where the metric is undefined."""
        # a class without images would count as one whose F1 is 0
        if name == "macro_f1" and not self.held.all():
            return Score(value=None, repeats=len(values), reason=f"no images of {self._absent()}")
        defined = values[np.isfinite(values)]
        if not len(defined):
            return Score(value=None, repeats=len(values), reason=self._undefined(name))
        value = float(defined.mean())
        std = float(defined.std(ddof=1)) if len(defined) > 1 else None
        metric, _, number = name.partition("/")
        few = self._too_few(self._counted(metric, number))
        interval, reason = (None, few) if few else self._interval(name)
        if len(defined) < len(values):
            lost = f"undefined in {len(values) - len(defined)} of {len(values)} repeats"
            reason = "; ".join(filter(None, [lost, reason]))
        return Score(value=value, std=std, repeats=len(values), interval=interval, reason=reason, few_groups=bool(few))

    def _interval(self, name: str) -> tuple[Interval | None, str]:
        metric, _, number = name.partition("/")
        if metric in _SHARES:
            hits, trials = self.shares[metric]
            if number:
                hits, trials = hits[..., int(number)], trials[..., int(number)]
            groups = int((trials > 0).any(axis=0).sum())
            if groups < LEAST_GROUPS:
                return None, f"{_count(groups, 'test group')} with such images"
            _, low, high, method = mean_proportion(hits, trials)
            return Interval(low=low, high=high, method=method, groups=groups), ""
        if metric.startswith("calibration_error"):
            return None, _BIASED
        if not self.asked.draws:
            return None, "no bootstrap was asked for"
        if self.units.groups < BOOTSTRAP_GROUPS:
            return None, f"{_count(self.units.groups, 'test group')}, a bootstrap needs {BOOTSTRAP_GROUPS}"
        low, high = percentiles(_mean_over_models(self.drawn[name]))
        if not np.isfinite([low, high]).all():
            return None, "undefined in most draws"
        return Interval(low=low, high=high, method=BOOTSTRAP, groups=self.units.groups, draws=self.draws), ""

    def _counted(self, metric: str, number: str) -> Sequence[int]:
        """Classes whose units the metric counts."""
        if metric == "recall":
            return [int(number)]
        others = [k for k in range(self.units.classes) if str(k) != number]
        return others if metric == "specificity" else range(self.units.classes)

    def _too_few(self, numbers: Sequence[int]) -> str:
        """Which of these classes have too few groups, in words; "" where none has."""
        few = [k for k in numbers if self.held[k] < LEAST_GROUPS]
        return _listed([f"{self.asked.classes[k]}: {_count(int(self.held[k]), 'test group')}" for k in few])

    def _absent(self) -> str:
        return _listed([self.asked.classes[k] for k in range(self.units.classes) if not self.held[k]])

    def _undefined(self, name: str) -> str:
        metric, _, number = name.partition("/")
        if metric in ("precision", "npv"):
            return "never predicted" if metric == "precision" else "always predicted"
        if number and self.held[int(number)] == 0:
            return f"{self.asked.classes[int(number)]}: no test images"
        return "undefined on these images"


def _mean_over_models(values: np.ndarray) -> NDArray[np.float64]:
    """[draws, models] → [draws]; models in which the metric is undefined are left out."""
    defined = np.isfinite(values)
    count = defined.sum(axis=1)
    total = np.where(defined, values, 0.0).sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _listed(classes: Sequence[str]) -> str:
    """The first of them, and how many more there are."""
    more = [f"and {_count(len(classes) - _SHOWN, 'more class')}"] if len(classes) > _SHOWN else []
    return ", ".join([*classes[:_SHOWN], *more])


def _count(number: int, what: str) -> str:
    many = f"{what}es" if what.endswith("s") else f"{what}s"
    return f"no {many}" if number == 0 else f"{number} {many if number > 1 else what}"
