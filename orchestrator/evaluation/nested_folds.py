"""Outer folds of a nested evaluation: each group is tested once, by models that neither trained nor selected on it."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from orchestrator.results.names import counted
from orchestrator.store.errors import Faults, InputError
from orchestrator.store.record import short_hash
from trainables.data.partition import Partition
from trainables.data.partitioning import make_partition

LEAST_FOLDS = 2
LEAST_GROUPS = 3
"""Of every class: one to test on, one to train on, one to select on."""

Ints = NDArray[np.int64]


def outer_folds(manifest: pd.DataFrame, partition: Partition, count: int, seed: int) -> list[Partition]:
    """`count` partitions of all groups; the test split of each is one outer fold, and every group is in one of them.

    The groups of a class are dealt evenly to the folds, whatever split they are in. For each fold the other groups are
    divided into train and valid, stratified, in the proportion of `partition`. All of it follows from seed and names.
    Raises InputError where a class has too few groups to be trained, selected and tested on.
    """
    groups = np.unique(manifest["group"].to_numpy(dtype=object))
    if not LEAST_FOLDS <= count <= len(groups):
        raise InputError(
            f"--nested {count}: expected {LEAST_FOLDS} to {len(groups)} outer folds, each with at least one group",
            f"--nested {min(5, len(groups))}",
        )
    labels = np.unique(manifest["label"].to_numpy(dtype=object))
    amounts = np.zeros((len(groups), len(labels)), dtype=np.int64)
    row = np.searchsorted(groups, manifest["group"].to_numpy(dtype=object))
    np.add.at(amounts, (row, np.searchsorted(labels, manifest["label"].to_numpy(dtype=object))), 1)
    held = (amounts > 0).sum(axis=0)
    faults = Faults("nested cross-validation")
    for name, number in zip(labels, held, strict=True):
        if number < LEAST_GROUPS:
            faults.add(
                f"class {name!r} has {counted(number, 'group')}, expected at least {LEAST_GROUPS}: one to test on, one "
                "to train on, one to select on"
            )
    faults.raise_if_any("Add images of more groups.")
    fold = _dealt(groups, amounts, count, seed)
    for number in range(count):
        left = held - (amounts[fold == number] > 0).sum(axis=0)
        if (left < 2).any():
            name = labels[int(left.argmin())]
            raise InputError(
                f"--nested {count}: outer fold {number + 1} leaves {counted(int(left.min()), 'group')} of class "
                f"{name!r}, expected one to train on and one to select on",
                f"Ask for more folds: --nested {min(len(groups), max(count + 1, LEAST_GROUPS))}",
            )
    return [_inner(manifest, partition, frozenset(groups[fold == number]), seed + number) for number in range(count)]


def _dealt(groups: np.ndarray, amounts: Ints, count: int, seed: int) -> Ints:
    """The fold of every group, int64 [G]: rare classes first, large groups first, each to the fold that has least."""
    held = (amounts > 0).sum(axis=0)
    rarity = np.argsort(np.argsort(held, kind="stable"), kind="stable")
    own = np.where(amounts > 0, rarity, amounts.shape[1]).argmin(axis=1)
    draw = [short_hash([seed, str(name)]) for name in groups]
    order = sorted(range(len(groups)), key=lambda g: (rarity[own[g]], -int(amounts[g].sum()), draw[g]))
    members, load = np.zeros((count, amounts.shape[1])), np.zeros((count, amounts.shape[1]))
    fold = np.zeros(len(groups), dtype=np.int64)
    for g in order:
        k = own[g]
        fold[g] = min(range(count), key=lambda f: (members[f, k], load[f, k], load[f].sum(), f))
        members[fold[g]] += amounts[g] > 0
        load[fold[g]] += amounts[g]
    return fold


def _inner(manifest: pd.DataFrame, partition: Partition, outer: frozenset[str], seed: int) -> Partition:
    counts = Counter(partition.groups[group] for group in manifest["group"])
    test = float(manifest["group"].isin(outer).mean())
    train = counts["train"] / (counts["train"] + counts["valid"])
    targets = (1 - test) * train, (1 - test) * (1 - train), test
    return make_partition(manifest, "stratified", seed=seed, targets=targets, fixed_test=outer)
