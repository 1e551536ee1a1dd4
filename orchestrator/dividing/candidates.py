"""Partitions that one set of images could have: by every policy and several seeds, rotated, as the data gives them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd

from orchestrator.results.near_duplicates import KINDS, with_kinds
from orchestrator.store.errors import InputError
from orchestrator.study.preparation import divide
from search_spaces.schema import Space
from trainables.data.checks import SPLITS, check_splits
from trainables.data.dataset import Dataset
from trainables.data.filling import Triple, distance
from trainables.data.folds import fold_partitions, has_folds
from trainables.data.partition import GroupTable, Partition
from trainables.data.partitioning import Policy, make_partition
from trainables.data.rotation import rotate

FILLED: tuple[Policy, ...] = ("psp", "ifp", "ifpo")
"""Policies that draw nothing: one partition each."""


@dataclass(frozen=True)
class ClassShares:
    """One class of a candidate, numbers by split (train, valid, test). shares: of its images, 0–1."""

    label: str
    images: tuple[int, ...]
    shares: tuple[float, ...]
    groups: tuple[int, ...]


@dataclass(frozen=True)
class Candidate:
    """how: by what it was made, all ways that lead to it. is_taken: whether a search takes it.

    by_images: mean over classes and splits of |target − share of images|, what "stratified" brings down. by_both: the
    mean over classes of the distance of `filling.distance`, pixels and numbers of groups, what "ifp" and "ifpo" bring
    down. is_complete: every class has a group in each split. copies: near-duplicates in two splits. faults: why a
    search would refuse it, "" where it would not.
    """

    partition: Partition
    how: tuple[str, ...]
    is_taken: bool
    by_images: float
    by_both: float
    is_complete: bool
    copies: int
    faults: str
    classes: tuple[ClassShares, ...]


@dataclass(frozen=True)
class Impossible:
    """A way that gives no partition of this data, and why."""

    how: str
    why: str


def candidates(
    dataset: Dataset, pairs: pd.DataFrame, space: Space, seed: int, seeds: int, partitions: int
) -> tuple[list[Candidate], list[Impossible]]:
    """What a search takes first, then the others by how near they come to the targets in images; equal ones once.

    pairs: near-duplicates as `pairs_of` gives them. seeds: of "stratified", from `seed` on. partitions: as many as a
    search with --partitions would use, the first among them. Raises InputError where a search could make none.
    """
    own = divide(space, dataset.manifest, seed)
    by_id: dict[str, tuple[Partition, list[str]]] = {own.id: (own, [_called(own)])}
    impossible: list[Impossible] = []
    for how, make in _ways(dataset, space, own, seed, seeds, partitions):
        try:
            partition = make()
        except InputError as error:
            impossible.append(Impossible(how, error.message))
            continue
        names = by_id.setdefault(partition.id, (partition, []))[1]
        names.extend([how] if how not in names else [])
    targets = space.partition.targets
    told = [_told(dataset, pairs, targets, one, names, one is own) for one, names in by_id.values()]
    told[1:] = sorted(told[1:], key=lambda one: (bool(one.faults), not one.is_complete, one.by_images, one.by_both))
    return told, impossible


def _ways(
    dataset: Dataset, space: Space, own: Partition, seed: int, seeds: int, partitions: int
) -> Iterator[tuple[str, Callable[[], Partition]]]:
    """(what it is called, what makes it), the folds of the data and partitions beside the first among them."""
    manifest, targets = dataset.manifest, space.partition.targets
    if has_folds(manifest):
        for fold in fold_partitions(manifest)[1:]:
            yield _called(fold), partial(_same, fold)
    else:
        for place in range(1, partitions):
            how = f"partition {place + 1} of {partitions}, with the test split of the first"
            yield how, partial(_rotated, manifest, own, place, seed)
    for number in range(seed, seed + seeds):
        make = partial(make_partition, manifest, "stratified", seed=number, targets=targets)
        yield f"stratified, seed {number}", make
    for policy in FILLED:
        yield policy, partial(make_partition, manifest, policy, seed=seed, targets=targets)


def _same(partition: Partition) -> Partition:
    return partition


def _rotated(manifest: pd.DataFrame, own: Partition, place: int, seed: int) -> Partition:
    return rotate(manifest, [own], place + 1, seed)[place]


def _called(partition: Partition) -> str:
    if fold := partition.details.get("valid_fold"):
        return f"given, with fold {fold} as valid"
    return f"stratified, seed {partition.seed}" if partition.policy == "stratified" else partition.policy


def _told(
    dataset: Dataset, pairs: pd.DataFrame, targets: Triple, partition: Partition, how: Sequence[str], is_taken: bool
) -> Candidate:
    manifest = dataset.manifest
    images, pixels = GroupTable.of(manifest, "images"), GroupTable.of(manifest, "pixels")
    place = np.array([SPLITS.index(partition.groups[group]) for group in images.groups])
    inside = [place == number for number in range(len(SPLITS))]
    classes, by_images, by_both = [], [], []
    for k, label in enumerate(images.labels):
        held = [images.amounts[here, k] for here in inside]
        number = [int(one.sum()) for one in held]
        groups = [int((one > 0).sum()) for one in held]
        shares = [one / sum(number) for one in number]
        area = [int(pixels.amounts[here, k].sum()) for here in inside]
        spread = [one / sum(groups) for one in groups]
        by_images.append(distance(shares, spread, targets, weights=(1.0, 0.0)).total)
        by_both.append(distance([one / sum(area) for one in area], spread, targets).total)
        classes.append(ClassShares(label, tuple(number), tuple(shares), tuple(groups)))
    told = with_kinds(pairs, manifest, partition.groups)
    return Candidate(
        partition,
        tuple(how),
        is_taken,
        round(float(np.mean(by_images)), 12),
        round(float(np.mean(by_both)), 12),
        all(min(one.groups) > 0 for one in classes),
        int((told["kind"] == KINDS[0]).sum()),
        _faults(manifest, partition),
        tuple(classes),
    )


def _faults(manifest: pd.DataFrame, partition: Partition) -> str:
    split = manifest["group"].map(partition.groups)
    try:
        check_splits(manifest.assign(split=split), SPLITS if partition.policy != "given" else SPLITS[:2])
    except InputError as error:
        return error.message
    return ""
