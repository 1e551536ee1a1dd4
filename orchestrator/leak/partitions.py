"""Partitions of the leak experiment: the only ones that may divide a group. They can neither be selected nor evaluated.

Experiment 0 keeps train and valid apart by group, 1 exchanges one image of every group between them, 2 shuffles their
images together. Some groups are held back from both in all three. Test images of the study take no part.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orchestrator.results.names import counted
from orchestrator.store.errors import Faults, InputError

Ints = NDArray[np.int64]

KIND = "leak"
EXPERIMENTS = (0, 1, 2)
NAMES = {
    0: "apart by group",
    1: "one image of every group exchanged",
    2: "shuffled together",
}
SPLITS = ("train", "valid", "held_back")
TRAIN, VALID, HELD_BACK = range(3)
TARGETS = (0.6, 0.2, 0.2)
LEAST_GROUPS = 2


@dataclass(frozen=True)
class LeakPartition:
    """split: int64 [images], index into SPLITS of every train and valid image of the study, in manifest order."""

    experiment: int
    repeat: int
    split: Ints

    def rows(self, split: int) -> Ints:
        """Rows of the images in a split, rising."""
        inside: Ints = np.flatnonzero(self.split == split)
        return inside


def check_groups(labels: np.ndarray, groups: np.ndarray, classes: tuple[str, ...], study: str) -> None:
    """Raise InputError where the experiment cannot be made: labels int [images], groups int [images]."""
    if len(groups) and np.bincount(groups).max() < 2:
        raise InputError(
            f"study {study!r}: every image is a group of its own, so no group can be on both sides of a split",
            "Make the study again, and say what a group is: --group-by parent|REGEX or --group-column NAME",
        )
    faults = Faults(f"study {study!r}, train and valid images")
    for k, name in enumerate(classes):
        there = len(np.unique(groups[labels == k]))
        if there < LEAST_GROUPS:
            faults.add(f"class {name!r} has {counted(there, 'group')}, expected at least {LEAST_GROUPS}")
    faults.raise_if_any("The leak experiment needs groups to train on and groups to hold back.")


def leak_partitions(labels: np.ndarray, groups: np.ndarray, repeat: int, seed: int) -> tuple[LeakPartition, ...]:
    """The three partitions of one repeat; they share the groups that are held back.

    labels: int [images], groups: int [images], 0 … G − 1. Everything follows from repeat and seed. Every class has a
    group in train. One with two groups has the other in valid or held back, in turn from repeat to repeat.
    """
    draw = np.random.default_rng([seed, repeat, 0x1EAC])
    side = _sides(labels, groups, repeat, draw)
    apart = side[groups]
    exchanged = apart.copy()
    for group in np.flatnonzero(side != HELD_BACK):
        images = np.flatnonzero(groups == group)
        if len(images) > 1:  # the only image of a group would take the whole group along
            exchanged[draw.choice(images)] = VALID if side[group] == TRAIN else TRAIN
    shuffled = apart.copy()
    together = np.flatnonzero(apart != HELD_BACK)
    shuffled[together] = draw.permutation(apart[together])
    return tuple(
        LeakPartition(e, repeat, split) for e, split in zip(EXPERIMENTS, (apart, exchanged, shuffled), strict=True)
    )


def _sides(labels: np.ndarray, groups: np.ndarray, repeat: int, draw: np.random.Generator) -> Ints:
    """Split of every group, int64 [G]."""
    count, classes = int(groups.max()) + 1, int(labels.max()) + 1
    amounts = np.zeros((count, classes), dtype=np.int64)
    np.add.at(amounts, (groups, labels), 1)
    order = draw.permutation(count)
    side = np.full(count, -1, dtype=np.int64)
    rarest = np.argsort((amounts > 0).sum(axis=0), kind="stable")

    def give(k: int, split: int) -> None:
        if not amounts[side == split, k].any():
            free = [group for group in order if side[group] < 0 and amounts[group, k]]
            side[free[:1]] = split

    for k in rarest:
        give(int(k), TRAIN)
    for k in rarest:
        first = (int(k) + repeat) % 2
        for split in (VALID, HELD_BACK)[:: 1 if first else -1]:
            give(int(k), split)
    total = amounts.sum(axis=0)
    for group in order:
        if side[group] < 0:
            k = int(amounts[group].argmax())
            lacking = [share * total[k] - amounts[side == split, k].sum() for split, share in enumerate(TARGETS)]
            side[group] = int(np.argmax(lacking))
    return side
