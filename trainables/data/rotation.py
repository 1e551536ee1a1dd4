"""Several partitions of the same groups beside one test split: only train and valid change places."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from orchestrator.store.errors import InputError
from trainables.data.filling import TARGETS, Triple
from trainables.data.folds import fold_partitions, has_folds
from trainables.data.partition import Partition
from trainables.data.partitioning import make_partition

if TYPE_CHECKING:
    import pandas as pd

_ATTEMPTS = 5
"""Seeds tried for a partition that is not there yet."""


def rotate(manifest: pd.DataFrame, known: Sequence[Partition], count: int, seed: int) -> list[Partition]:
    """`count` different partitions, `known` (one or more) first; the test split of all is that of the first.

    Each further one is stratified by class, divides train and valid in the proportion of the first, and prefers in
    valid the groups that were there least often. The list for a larger count begins with that for a smaller one. Where
    the data has folds they are the partitions, in order.

    Raises InputError: a class without two groups beside the test split, or fewer different partitions than asked for.
    """
    if has_folds(manifest):
        given = fold_partitions(manifest)
        if count > len(given):
            raise InputError(
                f"--partitions {count}: the data has {len(given)} folds beside the test split",
                f"Ask for --partitions {len(given)} at most, or leave the option out: every fold is then taken.",
            )
        return given[:count]
    first = known[0]
    test = frozenset(group for group, split in first.groups.items() if split == "test")
    targets = _shares(manifest, first)
    partitions = list(known[:count])
    attempts = 0
    while len(partitions) < count:
        made = make_partition(
            manifest,
            "valid_from_train" if first.policy == "valid_from_train" else "stratified",
            seed=seed + len(partitions) + 1000 * attempts,
            targets=targets,
            fixed_test=None if first.policy == "valid_from_train" else test,
            others=partitions,
        )
        attempts += 1
        if made.id not in {partition.id for partition in partitions}:
            partitions.append(made)
            attempts = 0
        elif attempts >= _ATTEMPTS:
            raise InputError(
                f"--partitions {count}: only {len(partitions)} different partitions leave the test split as it is and "
                "have every class in train and valid",
                f"Ask for --partitions {len(partitions)}, or add images of more groups.",
            )
    return partitions


def _shares(manifest: pd.DataFrame, partition: Partition) -> Triple:
    """Shares of images in train, valid and test; where there is no test split, as if there were the usual one."""
    counts = Counter(partition.groups[group] for group in manifest["group"])
    test = counts["test"] / counts.total() or TARGETS[2]
    train = counts["train"] / (counts["train"] + counts["valid"])
    return (1 - test) * train, (1 - test) * (1 - train), test
