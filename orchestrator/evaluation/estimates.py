"""From logits to estimates: the primary one, and the secondary ones beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from orchestrator.evaluation.calibration import fit_temperature, probabilities
from orchestrator.evaluation.levels import DRAWS, Asked, binary_scores, level
from orchestrator.evaluation.operating import Wanted, reached
from orchestrator.evaluation.record import Changes, Estimate, OperatingPoint, Subgroup
from orchestrator.evaluation.samples import Units

PRIMARY = "mean over the repeats, single models, no test-time augmentation"


@dataclass(frozen=True)
class Scored:
    """Logits with their truth. logits: float [models, N, views, outputs]; views[0] is view 0."""

    logits: np.ndarray
    views: tuple[int, ...]
    truth: np.ndarray
    group: np.ndarray
    groups: int

    @classmethod
    def of(cls, images: pd.DataFrame, logits: np.ndarray, views: Sequence[int] = (0,)) -> Scored:
        """images: columns truth and group, in the order of the logits' second axis."""
        names, group = np.unique(images["group"].to_numpy(dtype=object), return_inverse=True)
        return cls(logits, tuple(views), images["truth"].to_numpy(dtype=np.int64), group.astype(np.int64), len(names))

    def units(self, views: Sequence[int] = (0,)) -> Units:
        """Images as units, with the mean of the probabilities of these views."""
        places = [self.views.index(view) for view in views]
        chances = probabilities(np.take(self.logits, places, axis=2)).mean(axis=2)
        return Units(chances, self.truth, self.group, self.groups)


@dataclass(frozen=True)
class Seen:
    """Test images that went through something before they were predicted, and what in words. views: how many of each
    image `units` are the mean of."""

    units: Units
    views: int
    changes: Changes
    words: str


def estimates(
    test: Scored,
    valid: Scored,
    classes: tuple[str, ...],
    seed: int,
    tta: Seen | None = None,
    augmented: Seen | None = None,
) -> tuple[Estimate, ...]:
    """The primary estimate first, then what stands beside it; seed: of the bootstraps. tta: the views of each image
    that a mean is taken over. augmented: every image once."""
    single, on_valid = test.units(), valid.units()
    ways = [("single models", _temperatures(on_valid), False)]
    if len(test.logits) > 1:
        ways.append(("ensemble of the repeats", _temperatures(on_valid.ensemble()), True))
    upright = [_estimate(PRIMARY, single, classes, seed, ways[0][1], primary=True)]
    upright += [_estimate(who, single.ensemble(), classes, seed, fitted, ensemble=True) for who, fitted, _ in ways[1:]]
    return (*upright, *_changed(ways, classes, seed, tta, augmented))


def nested_estimates(name: str, test: Scored, classes: tuple[str, ...], seed: int) -> tuple[Estimate, ...]:
    """Of images that several outer folds tested: single models, then their ensemble. None is primary, and none has a
    temperature, since the folds have no valid images in common."""
    single = test.units()
    pooled = [_estimate(name, single, classes, seed, ())]
    if len(test.logits) > 1:
        together = "nested: ensemble of the repeats that each outer fold selected"
        pooled.append(_estimate(together, single.ensemble(), classes, seed, (), ensemble=True))
    return tuple(pooled)


def ensemble_estimates(
    name: str,
    test: Units,
    valid: Units,
    classes: tuple[str, ...],
    seed: int,
    tta: Seen | None = None,
    augmented: Seen | None = None,
) -> tuple[Estimate, ...]:
    """Of an ensemble of configurations, one model each in test and valid; tta and augmented as in `estimates`."""
    fitted = _temperatures(valid)
    upright = _estimate(name, test, classes, seed, fitted, ensemble=True)
    return (upright, *_changed([(name, fitted, True)], classes, seed, tta, augmented))


def operating_point(wanted: Wanted, test: Units, valid: Units, classes: tuple[str, ...]) -> OperatingPoint:
    """Thresholds of each model from the valid images, and what they give on the test images."""
    number = classes.index(wanted.name)
    positive = valid.truth == number
    scores = valid.chances[:, :, number]
    thresholds = [wanted.threshold(model, positive) for model in scores]
    _, there = reached(scores, positive, thresholds)
    called, _ = reached(test.chances[:, :, number], test.truth == number, thresholds)
    return OperatingPoint(
        asked=wanted.text,
        target=wanted.target,
        share=wanted.share,
        name=wanted.name,
        thresholds=tuple(thresholds),
        valid=there,
        scores=binary_scores(called, test, number, wanted.name),
    )


def subgroups(column: str, values: pd.Series[str], test: Units, classes: tuple[str, ...]) -> list[Subgroup]:
    """The estimate of the upright images for each value, in order; values: aligned with the test images."""
    shown = values.fillna("").astype(str).str.strip().replace("", "(empty)").to_numpy()
    by_value = []
    for value in sorted(set(shown)):
        part = test.only(shown == value)
        scored = level(part, Asked(classes, positive=_positive(classes)))
        by_value.append(
            Subgroup(
                column=column,
                value=value,
                images=len(part.truth),
                groups=part.groups,
                overall=scored.overall,
                classes=scored.classes,
            )
        )
    return by_value


def _changed(
    ways: Sequence[tuple[str, tuple[float, ...], bool]],
    classes: tuple[str, ...],
    seed: int,
    tta: Seen | None,
    augmented: Seen | None,
) -> list[Estimate]:
    """Of images that went through something. ways: who predicts, its temperatures, whether its models go together."""
    changed = []
    if tta is not None:
        for who, _, ensemble in ways:
            models, name = tta.units.ensemble() if ensemble else tta.units, f"{who}, mean over {tta.words}"
            one = _estimate(name, models, classes, seed, (), views=tta.views, ensemble=ensemble)
            changed.append(one.model_copy(update={"tta": tta.changes}))
    if augmented is not None:
        units = augmented.units
        for who, fitted, ensemble in ways:
            models, name = units.ensemble() if ensemble else units, f"{who}, augmented test images ({augmented.words})"
            one = _estimate(name, models, classes, seed, fitted, ensemble=ensemble)
            changed.append(one.model_copy(update={"augmented": augmented.changes}))
    return changed


def _estimate(
    name: str,
    units: Units,
    classes: tuple[str, ...],
    seed: int,
    temperatures: tuple[float, ...],
    *,
    primary: bool = False,
    ensemble: bool = False,
    views: int = 1,
) -> Estimate:
    positive = _positive(classes)
    asked = Asked(classes, "image", temperatures, DRAWS, seed, positive)
    are_single = units.groups == len(units.truth)
    even = None if ensemble or views > 1 or are_single else level(units, replace(asked, mean_over="groups"))
    by_group = None if are_single else units.by_group()
    mixed = f"{units.mixed_groups()} of {units.groups} groups hold images of several classes"
    no_group = "every group is one image" if are_single else mixed
    return Estimate(
        name=name,
        is_primary=primary,
        views=views,
        ensemble=ensemble,
        temperature=temperatures,
        image=level(units, asked),
        even=even,
        group=None if by_group is None else level(by_group, Asked(classes, "group", (), DRAWS, seed, positive)),
        no_group="" if by_group is not None else no_group,
    )


def _temperatures(valid: Units) -> tuple[float, ...]:
    """One per model, from its probabilities on the valid images."""
    logs = np.log(np.maximum(valid.chances, 1e-300))
    return tuple(fit_temperature(model, valid.truth) for model in logs)


def _positive(classes: tuple[str, ...]) -> int | None:
    """Of two classes the second: what a binary task calls positive."""
    return 1 if len(classes) == 2 else None
