"""Answers to classes of unequal size: more views of small classes (NGCA), class weights, subsampling, given counts."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from orchestrator.store.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

TRANSFORMS = 7
"""The flips and right-angle rotations of a square beside the identity."""


def ngca(ratio: int, transforms: int = TRANSFORMS) -> int:
    """Number of global class augmentations: how many of the `transforms` every class can have, the largest included.

    ratio: images of the largest class per image of the smallest, rounded, ≥ 1. The smallest class then takes
    ratio · n + (ratio − 1) transforms, so n = ⌊(t + 1) / r⌋ − 1, and 0 where t < r − 1 lets nothing be left over.
    Source: the neuroblastoma report, equation 2.6.
    """
    if ratio < 1 or transforms < 0:
        raise ValueError(f"ratio {ratio} and transforms {transforms}: expected ratio ≥ 1 and transforms ≥ 0")
    return (transforms + 1) // ratio - 1 if transforms >= ratio - 1 else 0


def views_per_image(counts: Mapping[str, int], transforms: int = TRANSFORMS) -> dict[str, int]:
    """Views of each image by class, identity included: 1 to transforms + 1.

    counts: images per class, ≥ 1. A class with ratio r (largest count over its own, rounded half up) gets
    r · n + (r − 1) transforms, at most `transforms`, with n the NGCA of the smallest class's ratio.
    """
    _check_counts(counts)
    largest = max(counts.values())
    ratios = {label: (2 * largest + count) // (2 * count) for label, count in counts.items()}
    n = ngca(max(ratios.values()), transforms)
    return {label: 1 + min(ratio * n + ratio - 1, transforms) for label, ratio in ratios.items()}


def class_weights(counts: Mapping[str, int] | Sequence[int] | np.ndarray) -> np.ndarray:
    """float64 [K], w_c = N / (K · N_c), in the order of `counts` (images per class, ≥ 1).

    Their mean over the N images is 1.
    """
    named = counts if isinstance(counts, Mapping) else {str(k): int(count) for k, count in enumerate(counts)}
    _check_counts(named)
    numbers = np.array(list(named.values()), dtype=np.float64)
    weights: np.ndarray = numbers.sum() / (len(numbers) * numbers)
    return weights


def subsample(rows: pd.DataFrame, seed: int) -> np.ndarray:
    """Positions (int64, rising) of the rows kept when every class is cut down to the size of the smallest.

    rows: part of a manifest, columns label and content. Which images stay follows from the seed and each image's
    content alone, so adding an image to a class displaces at most one other.
    """
    smallest = int(rows["label"].value_counts().min()) if len(rows) else 0
    return np.flatnonzero(views_to_count(rows, smallest, seed))


def check_count(labels: pd.Series[str], count: int) -> None:
    """Raise InputError where a class of the training images has too few of them to be enlarged to `count`."""
    counts = {str(label): int(number) for label, number in labels.value_counts().items()}
    _check_counts(counts)
    smallest = min(counts, key=lambda label: (counts[label], label))
    if count > (most := counts[smallest] * (TRANSFORMS + 1)):
        raise InputError(
            f"balance.count: expected {most} or less ({TRANSFORMS + 1} views of each of the {counts[smallest]} "
            f"training images of {smallest!r}), found {count}",
            f"Ask for fewer: --set balance.count={most}",
        )


def views_to_count(rows: pd.DataFrame, count: int, seed: int) -> np.ndarray:
    """Views of each row, int64 [rows], so that every class has `count` of them altogether; 0 where it is left out.

    rows: part of a manifest, columns label and content. Views are handed out evenly, one more of as many images as need
    be; of which, or which are left out, follows from the seed and each image's content alone, as in `subsample`. A
    class that has fewer images than an eighth of `count` asks for more views than there are, see `check_count`.
    """
    labels = rows["label"].to_numpy(dtype=object)
    content = rows["content"].to_numpy(dtype=object)
    keys = [hashlib.sha256(f"subsample\0{seed}\0{image}".encode()).hexdigest() for image in content]
    members: dict[str, list[int]] = {}
    for position in sorted(range(len(keys)), key=lambda i: (keys[i], i)):
        members.setdefault(labels[position], []).append(position)
    views = np.zeros(len(rows), dtype=np.int64)
    for positions in members.values():
        each, more = divmod(count, len(positions))
        views[positions] = each
        views[positions[:more]] += 1
    return views


def _check_counts(counts: Mapping[str, int]) -> None:
    empty = [label for label, count in counts.items() if count < 1]
    if empty or not counts:
        named = ", ".join(repr(label) for label in empty) or "no class at all"
        raise InputError(f"balance: expected at least one training image of every class, found none of {named}")
