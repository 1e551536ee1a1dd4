"""Slices of the images in which a configuration is wrong more often than chance explains.

A slice is all images with one value of a property: a site, a scanner, the smallest quarter. Classes differ in how hard
they are and a slice may hold more of a hard one, so an image counts by how much its error differs from the mean error
of its class. Images of a group resemble one another, so the group is the unit: were the slice like the rest, what a
group adds to the slice's difference could as well have had the other sign. All groups' signs are flipped at random
(effective scores of Hemerik, Goeman and Finos 2020: the share of the slice in each class is taken off, too;
standardised after De Santis et al. 2022, with groups whose errors go together), and p is the share of flips that put
the slice as far above as it is. p of all slices that are looked at are corrected together (Holm 1979), which holds
however they depend on one another: where no slice is worse, one is named in at most 5 %.
`benchmarks/mistakes.py` counts how often.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orchestrator.evaluation.intervals import WIDEST, limits, too_few, weightings
from orchestrator.mistakes.gathered import Floats, Ints
from orchestrator.statistics.sign_flips import signs

LEVEL = 0.05
LEAST_GROUPS = 5
"""With fewer groups in a slice no p can be small, whatever the errors: it is not tested, and corrects no other."""
DRAWS = 1000
"""Of the interval."""
MOST_GROUPS = 1000
"""Groups beyond this number are flipped together with others, drawn at random: sums of independent groups are as
independent."""
_CLOSE = 1e-9


@dataclass(frozen=True)
class Property:
    """What images are sliced by. values: names in the order shown. of: int64 [N], place of each image's value, −1 where
    it has none."""

    name: str
    values: tuple[str, ...]
    of: Ints


@dataclass(frozen=True)
class Slice:
    """error: share of wrong predictions, mean over images. low, high: 95 % over groups; None where groups are too few
    or it is too wide to say something. expected: the mean error of its images' classes. p: that it is no worse than the
    rest; None where it is not tested. corrected: for all tested ones."""

    name: str
    value: str
    images: int
    groups: int
    error: float
    low: float | None
    high: float | None
    expected: float
    p: float | None
    corrected: float | None

    @property
    def is_worse(self) -> bool:
        return self.corrected is not None and self.corrected <= LEVEL


def slices(error: Floats, truth: Ints, group: Ints, properties: Sequence[Property], seed: int) -> list[Slice]:
    """Every value of every property, in their order.

    error: float64 [N], 0–1 per image. truth: class, int64 [N]. group: int64 [N], 0 … G − 1. seed: of the bootstrap and
    of random signs.
    """
    masks = [(one.name, value, one.of == place) for one in properties for place, value in enumerate(one.values)]
    masks = [(name, value, mask) for name, value, mask in masks if mask.any()]
    per_class = np.maximum(np.bincount(truth), 1)
    by_class = np.bincount(truth, weights=error) / per_class
    tested = [
        at for at, (_, _, mask) in enumerate(masks) if len(np.unique(group[mask])) >= LEAST_GROUPS > 0 < (~mask).sum()
    ]
    p = dict(
        zip(tested, _flipped(error - by_class[truth], truth, group, [masks[at][2] for at in tested], seed), strict=True)
    )
    corrected = holm(p)
    scored = []
    for at, (name, value, mask) in enumerate(masks):
        low, high = interval(error[mask], group[mask], seed)
        scored.append(
            Slice(
                name,
                value,
                int(mask.sum()),
                len(np.unique(group[mask])),
                float(error[mask].mean()),
                low,
                high,
                float(by_class[truth[mask]].mean()),
                p.get(at),
                corrected.get(at),
            )
        )
    return scored


def _flipped(residual: Floats, truth: Ints, group: Ints, masks: Sequence[NDArray[np.bool_]], seed: int) -> list[float]:
    """One-sided p of each slice, see above; residual: float64 [N], error less the mean of its class.

    Means of classes were taken off, so residuals of a class add up to 0 and flipped sums vary less than the sum that is
    there, the more so the fewer groups a class has. Each sum is divided by how far it can vary where errors of a group
    go together.
    """
    if not masks:
        return []
    groups = int(group.max()) + 1
    unit = group
    if groups > MOST_GROUPS:
        unit = (np.random.default_rng([seed, groups]).permutation(groups) % MOST_GROUPS)[group]
        groups = MOST_GROUPS
    sizes = np.maximum(np.bincount(truth), 1)
    cell, cells = unit * len(sizes) + truth, groups * len(sizes)
    images = np.bincount(cell, minlength=cells).reshape(groups, len(sizes))
    together, flips = images.T @ images, signs(groups, seed)
    p_values = []
    for mask in masks:
        apart = mask - (np.bincount(truth, weights=mask.astype(np.float64)) / sizes)[truth]
        score = np.bincount(unit, weights=apart * residual, minlength=groups)
        held = np.bincount(cell, weights=apart, minlength=cells).reshape(groups, len(sizes))
        own = held.sum(axis=1)
        flipped = flips @ np.column_stack([score, held / sizes, own[:, None] * images])
        sums, means, crossed = np.split(flipped, [1, 1 + len(sizes)], axis=1)
        # a flipped sum counts a group's errors by sign × own − means of the classes of its images; squared, added up:
        spread = (own**2).sum() - 2 * (means * crossed).sum(axis=1) + ((means @ together) * means).sum(axis=1)
        sums = sums[:, 0] / np.sqrt(np.maximum(spread, _CLOSE))
        least = sums[0] - _CLOSE
        p_values.append(float((sums >= least).sum() + (-sums >= least).sum()) / (2 * len(flips)))
    return p_values


def interval(error: Floats, group: Ints, seed: int) -> tuple[float | None, float | None]:
    """95 % over groups of the mean error of these images, as test scores have it; (None, None) where none is said."""
    _, group = np.unique(group, return_inverse=True)
    sizes = np.bincount(group).astype(np.float64)[:, None]
    if too_few(sizes, together=True):
        return None, None
    wrong = np.bincount(group, weights=error)[:, None]
    drawn = weightings(sizes, True, DRAWS, seed)
    unseen = drawn.unseen.sum(axis=1)
    total = (drawn.groups @ sizes)[:, 0] + unseen
    right = (drawn.groups @ (sizes - wrong))[:, 0]
    low, high = limits(right / total, (right + unseen) / total)
    return (1 - high, 1 - low) if high - low <= WIDEST else (None, None)


def holm(p: Mapping[int, float]) -> dict[int, float]:
    """p corrected for their number by Holm's step-down procedure (1979)."""
    corrected, largest = dict[int, float](), 0.0
    for step, (name, value) in enumerate(sorted(p.items(), key=lambda one: (one[1], one[0]))):
        largest = max(largest, min(1.0, (len(p) - step) * value))
        corrected[name] = largest
    return corrected
