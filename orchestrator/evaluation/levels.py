"""All metrics of a set of units with their intervals over groups, or the reason why there is none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from orchestrator.evaluation.limits import LOSSES, Limits
from orchestrator.evaluation.record import ClassScores, Level, Score
from orchestrator.evaluation.resampling import Resampled
from orchestrator.evaluation.samples import Units

DRAWS = 2000
LEAST_DRAWS = 200
WORK = 160_000_000
"""Draws × models × classes × units that one bootstrap may take: a large test set gets fewer draws."""

OVERALL = ("accuracy", "balanced_accuracy", "macro_f1", "mcc", "kappa", "roc_auc", "average_precision")
PER_CLASS = ("recall", "specificity", "precision", "npv", "f1", "roc_auc", "average_precision")


@dataclass(frozen=True)
class Asked:
    """What is computed of a set of units. draws: of the bootstrap. positive: see `Resampled`. mean_over: whether every
    image counts alike, or every group, in which images share what it counts."""

    classes: tuple[str, ...]
    unit: Literal["image", "group"] = "image"
    temperatures: tuple[float, ...] = ()
    draws: int = DRAWS
    seed: int = 0
    positive: int | None = None
    mean_over: Literal["images", "groups"] = "images"


def level(units: Units, asked: Asked) -> Level:
    """Score the units. Every value is the mean over the models, its interval that of this mean over groups."""
    base = units.even_base() if asked.mean_over == "groups" else np.ones(units.groups)
    resampled = Resampled(units, asked.temperatures, asked.positive, base)
    values = resampled.values()
    limits = Limits(resampled, asked.classes, _draws(units, asked.draws), asked.seed)
    names = [*OVERALL, *LOSSES, *(f"{name}_scaled" for name in LOSSES if asked.temperatures)]
    per_class = units.per_class()
    classes = tuple(
        ClassScores(
            name=label,
            images=int(per_class[:, number].sum()),
            groups=int(limits.held[number]),
            scores={name: _score(f"{name}/{number}", values[f"{name}/{number}"], limits) for name in PER_CLASS},
        )
        for number, label in enumerate(asked.classes)
    )
    counts = resampled.counts.sum(axis=1).round().astype(int)
    return Level(
        unit=asked.unit,
        mean_over=asked.mean_over,
        count=len(units.truth),
        groups=units.groups,
        overall={name: _score(name, values[name], limits) for name in names},
        classes=classes,
        confusion=tuple(tuple(tuple(row) for row in model) for model in counts.tolist()),
    )


def binary_scores(called: np.ndarray, units: Units, number: int, name: str) -> dict[str, Score]:
    """Sensitivity, specificity, PPV and NPV of calls bool [models, N] of one class against the rest."""
    truth = (units.truth == number).astype(np.int64)
    chances = np.stack([1.0 - called, called.astype(np.float64)], axis=-1)
    two = Units(chances, truth, units.group, units.groups)
    resampled = Resampled(two, (), None, np.ones(two.groups))
    values, limits = resampled.values(), Limits(resampled, (f"not {name}", name), _draws(two, DRAWS), 0)
    asked = {"sensitivity": "recall/1", "specificity": "specificity/1", "ppv": "precision/1", "npv": "npv/1"}
    return {said: _score(metric, values[metric], limits) for said, metric in asked.items()}


def _draws(units: Units, asked: int) -> int:
    cost = max(1, int(units.chances.size))
    return min(asked, max(LEAST_DRAWS, WORK // cost))


def _score(name: str, values: np.ndarray, limits: Limits) -> Score:
    """values float64 [models], NaN where the metric is undefined."""
    # a class without images would count as one whose F1 is 0
    if name == "macro_f1" and not limits.held.all():
        return Score(value=None, repeats=len(values), reason=f"no images of {limits.absent()}")
    defined = values[np.isfinite(values)]
    if not len(defined):
        return Score(value=None, repeats=len(values), reason=_undefined(name, limits))
    interval, reason, few = limits.of(name)
    if len(defined) < len(values):
        lost = f"undefined in {len(values) - len(defined)} of {len(values)} repeats"
        reason = "; ".join(filter(None, [lost, reason]))
    return Score(
        value=float(defined.mean()),
        std=float(defined.std(ddof=1)) if len(defined) > 1 else None,
        repeats=len(values),
        interval=interval,
        reason=reason,
        each=tuple(float(one) if np.isfinite(one) else None for one in values),
        few_groups=few,
    )


def _undefined(name: str, limits: Limits) -> str:
    metric, _, number = name.partition("/")
    if metric in ("precision", "npv"):
        return "never predicted" if metric == "precision" else "always predicted"
    if number and limits.held[int(number)] == 0:
        return f"{limits.classes[int(number)]}: no test images"
    return "undefined on these images"
