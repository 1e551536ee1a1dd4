"""How much better one model is than another on the same test images, with an interval over groups."""

from __future__ import annotations

import numpy as np

from orchestrator.evaluation.ensemble_record import Difference
from orchestrator.evaluation.intervals import METHOD, WIDEST, limits, too_few, weightings
from orchestrator.evaluation.levels import DRAWS
from orchestrator.evaluation.limits import LEAST_GROUPS, LOSSES, TOGETHER, Drawn, count_of, listed
from orchestrator.evaluation.record import Interval
from orchestrator.evaluation.resampling import Resampled
from orchestrator.evaluation.samples import Units
from orchestrator.store.schema import Metric

COMPARED = ("accuracy", "balanced_accuracy", "macro_f1", "log_loss")
_OF_SELECTION = {
    "loss": "log_loss",
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced_accuracy",
    "macro_f1": "macro_f1",
    "class_precision": "precision",
    "class_recall": "recall",
    "class_f1": "f1",
    "macro_auc": "roc_auc",
}


def compared_by(metric: Metric, of_class: str, classes: tuple[str, ...]) -> str:
    """What a metric of selection is called here: `precision/1` of one class; "" of what is not compared."""
    name = _OF_SELECTION.get(metric, "")
    return f"{name}/{classes.index(of_class)}" if name and of_class else name


def paired_differences(
    one: Units, other: Units, classes: tuple[str, ...], seed: int, also: str = ""
) -> tuple[Difference, ...]:
    """The metrics of COMPARED, and another before them, of the same images; each is the mean over its models first.

    Both are weighted alike in every draw (`intervals`), so what their groups share cancels. The part of a group that
    nobody has seen is predicted wrong by the first and right by the second for the lower limit, and the other way
    round for the upper: models that agree on every image are not known to agree on all others.
    """
    base = np.ones(one.groups)
    pair = Resampled(one, (), None, base), Resampled(other, (), None, base)
    first, second = (resampled.values() for resampled in pair)
    names = dict.fromkeys(filter(None, (also, *COMPARED)))
    return tuple(
        _difference(name, float(first[name].mean()), float(second[name].mean()), pair, classes, seed) for name in names
    )


def _difference(
    name: str, one: float, other: float, pair: tuple[Resampled, Resampled], classes: tuple[str, ...], seed: int
) -> Difference:
    """Positive where the first is better, for a loss too."""
    sign = -1.0 if name in LOSSES else 1.0
    value = sign * (one - other)
    if not np.isfinite(value):
        return Difference(metric=name, value=None, reason="undefined on these images")
    plain, _, number = name.partition("/")
    images, names = pair[0].units.per_class().astype(np.float64), classes
    if number:
        k = int(number)
        pair = pair[0].against(k), pair[1].against(k)
        images = np.stack([np.delete(images, k, axis=1).sum(axis=1), images[:, k]], axis=1)
        names, name = (f"not {classes[k]}", classes[k]), f"{plain}/1"
        if plain == "recall":
            images[:, 0] = 0
    interval, reason = _interval(name, sign, pair, images, names, seed)
    return Difference(metric=f"{plain}/{number}" if number else name, value=value, interval=interval, reason=reason)


def _interval(
    name: str, sign: float, pair: tuple[Resampled, Resampled], images: np.ndarray, classes: tuple[str, ...], seed: int
) -> tuple[Interval | None, str]:
    """Or the reason why there is none; images: as they count, float64 [groups, classes]."""
    held, together = (images > 0).sum(axis=0), name.partition("/")[0] in TOGETHER
    few = [k for k in range(len(classes)) if images[:, k].any() and held[k] < LEAST_GROUPS]
    if few:
        return None, listed([f"{classes[k]}: {count_of(int(held[k]), 'test group')}" for k in few])
    if too_few(images, together):
        return None, "too few groups, or most images lie in a few of them"
    weighting = weightings(images, together, DRAWS, seed)
    (wrong, right), (other_wrong, other_right) = (Drawn(resampled, weighting).of(name) for resampled in pair)
    low, high = limits(sign * (wrong - other_right), sign * (right - other_wrong))
    if not np.isfinite([low, high]).all():
        return None, "undefined in most draws"
    if high - low > WIDEST and name not in LOSSES:
        return None, f"too few groups: the interval would be wider than {WIDEST}"
    groups = int((images > 0).any(axis=1).sum())
    return Interval(low=low, high=high, method=METHOD, groups=groups, draws=DRAWS), ""
