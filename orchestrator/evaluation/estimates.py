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

PRIMARY = "mean over the repeats, single models, no test-time views"


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
    """Test images that went through something before they were predicted, and what in words. views: of `scored`."""

    scored: Scored
    views: tuple[int, ...]
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
    found = [_estimate(PRIMARY, single, classes, seed, ways[0][1], primary=True)]
    found += [_estimate(who, single.ensemble(), classes, seed, fitted, ensemble=True) for who, fitted, _ in ways[1:]]
    if tta is not None:
        units, count = tta.scored.units(tta.views), len(tta.views)
        for who, _, ensemble in ways:
            models, name = units.ensemble() if ensemble else units, f"{who}, mean over {tta.words}"
            one = _estimate(name, models, classes, seed, (), views=count, ensemble=ensemble)
            found.append(one.model_copy(update={"tta": tta.changes}))
    if augmented is not None:
        units = augmented.scored.units(augmented.views)
        for who, fitted, ensemble in ways:
            models, name = units.ensemble() if ensemble else units, f"{who}, augmented test images ({augmented.words})"
            one = _estimate(name, models, classes, seed, fitted, ensemble=ensemble)
            found.append(one.model_copy(update={"augmented": augmented.changes}))
    return tuple(found)


def nested_estimates(name: str, test: Scored, classes: tuple[str, ...], seed: int) -> tuple[Estimate, ...]:
    """Of images that several outer folds tested: single models, then their ensemble. None is primary, and none has a
    temperature, since the folds have no valid images in common."""
    single = test.units()
    found = [_estimate(name, single, classes, seed, ())]
    if len(test.logits) > 1:
        together = "nested: ensemble of the repeats of what each outer fold selected"
        found.append(_estimate(together, single.ensemble(), classes, seed, (), ensemble=True))
    return tuple(found)


def ensemble_estimate(
    name: str,
    chances: np.ndarray,
    test: Scored,
    on_valid: np.ndarray,
    valid: Scored,
    classes: tuple[str, ...],
    seed: int,
) -> Estimate:
    """Of the probabilities of an ensemble of configurations, float [N, K] of test and of valid images."""
    fitted = _temperatures(Units(on_valid[None], valid.truth, valid.group, valid.groups))
    units = Units(chances[None], test.truth, test.group, test.groups)
    return _estimate(name, units, classes, seed, fitted, ensemble=True)


def operating_point(wanted: Wanted, test: Scored, valid: Scored, classes: tuple[str, ...]) -> OperatingPoint:
    """Thresholds of each single model from the valid images, and what they give on the test images."""
    number = classes.index(wanted.name)
    on_valid, on_test = valid.units(), test.units()
    positive = on_valid.truth == number
    scores = on_valid.chances[:, :, number]
    thresholds = [wanted.threshold(model, positive) for model in scores]
    _, there = reached(scores, positive, thresholds)
    called, _ = reached(on_test.chances[:, :, number], on_test.truth == number, thresholds)
    return OperatingPoint(
        asked=wanted.text,
        target=wanted.target,
        share=wanted.share,
        name=wanted.name,
        thresholds=tuple(thresholds),
        valid=there,
        scores=binary_scores(called, on_test, number, wanted.name),
    )


def subgroups(column: str, values: pd.Series[str], test: Scored, classes: tuple[str, ...]) -> list[Subgroup]:
    """The primary estimate for each value, in order; values: aligned with the test images."""
    units = test.units()
    shown = values.fillna("").astype(str).str.strip().replace("", "(empty)").to_numpy()
    found = []
    for value in sorted(set(shown)):
        part = units.only(shown == value)
        scored = level(part, Asked(classes, positive=_positive(classes)))
        found.append(
            Subgroup(
                column=column,
                value=value,
                images=len(part.truth),
                groups=part.groups,
                overall=scored.overall,
                classes=scored.classes,
            )
        )
    return found


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
    even = None if ensemble or views > 1 else level(units, replace(asked, mean_over="groups"))
    by_group = units.by_group()
    mixed = units.mixed_groups()
    return Estimate(
        name=name,
        is_primary=primary,
        views=views,
        ensemble=ensemble,
        temperature=temperatures,
        image=level(units, asked),
        even=even,
        group=None if by_group is None else level(by_group, Asked(classes, "group", (), DRAWS, seed, positive)),
        no_group="" if by_group is not None else f"{mixed} of {units.groups} groups hold images of several classes",
    )


def _temperatures(valid: Units) -> tuple[float, ...]:
    """One per model, from its probabilities on the valid images."""
    logs = np.log(np.maximum(valid.chances, 1e-300))
    return tuple(fit_temperature(model, valid.truth) for model in logs)


def _positive(classes: tuple[str, ...]) -> int | None:
    """Of two classes the second: what a binary task calls positive."""
    return 1 if len(classes) == 2 else None
