"""What was predicted for every image while it was in validation: votes and probabilities, added up over repeats.

A repeat selected its epoch on these images and learned nothing else from them. Over several partitions of a study an
image is in validation in some, and only those speak of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import softmax

from orchestrator.choosing.kept_predictions import read_logits
from orchestrator.mistakes.chosen import Chosen, sound
from orchestrator.results.configuration_summary import ConfigurationSummary
from orchestrator.results.names import counted, names_of
from orchestrator.results.summary import Summary
from orchestrator.store import layout
from orchestrator.store.errors import InputError
from orchestrator.store.storage import Storage
from trainables.data.manifest import read_manifest
from trainables.data.partition import Partition, splits

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]
Read = tuple[np.ndarray, int] | None
"""Of one configuration on one partition the logits, and how many repeats are of another epoch; None without them."""


@dataclass(frozen=True)
class Gathered:
    """Predictions of C configurations for N images that were in validation, K classes, G groups.

    images: rows of the manifest in its order. truth: int64 [N]. group: int64 [N], 0 … G − 1, in the order of `groups`.
    members: the configurations, the best (or first named) first; names: in words, by id. trials: int64 [N], predictions
    of an image by one configuration. called: int32 [C, N, K], how many of them say each class. chance: float64 [C, N],
    probability of the truth, their mean. probability: float64 [N, K], the mean over all predictions of all
    configurations. manifest: all images of the study. split_of: by partition, the split of each of these. repeats: how
    many of each partition.
    """

    study: str
    seed: int
    classes: tuple[str, ...]
    images: pd.DataFrame
    truth: Ints
    group: Ints
    groups: tuple[str, ...]
    members: tuple[ConfigurationSummary, ...]
    names: dict[str, str]
    trials: Ints
    called: Ints
    chance: Floats
    probability: Floats
    manifest: pd.DataFrame
    split_of: dict[str, NDArray[np.object_]]
    repeats: tuple[int, ...]
    notes: tuple[str, ...] = ()

    @cached_property
    def right(self) -> Ints:
        """int32 [C, N], how many of `trials` say the truth."""
        right: Ints = np.take_along_axis(self.called, np.broadcast_to(self.truth, self.called.shape[:2])[..., None], 2)[
            ..., 0
        ]
        return right

    @cached_property
    def error(self) -> Floats:
        """float64 [N], share of the first configuration's predictions that are wrong."""
        error: Floats = 1 - self.right[0] / self.trials
        return error

    @property
    def is_cross_fitted(self) -> bool:
        """Whether several partitions speak, so that more than one validation split is judged."""
        return len(self.split_of) > 1

    @cached_property
    def never_judged(self) -> int:
        """Images of no test split that were in no validation split either."""
        tested = np.any([split == "test" for split in self.split_of.values()], axis=0)
        return int((~tested).sum()) - len(self.images)


def gather(storage: Storage, summary: Summary, chosen: Chosen) -> Gathered:
    """Read the kept predictions, one configuration after the other. Raises InputError where they cannot be used.

    Of the best configurations those whose predictions cannot be used are left out, with a note; named ones are refused.
    """
    study, classes = summary.study, summary.study.classes
    manifest = read_manifest(storage.read(layout.MANIFEST))
    split_of = {name: _splits(storage, manifest, name) for name in chosen.partitions}
    valid = {name: np.flatnonzero(split == "valid") for name, split in split_of.items()}
    kept, notes = _with_repeats(chosen)
    repeats = [kept.repeats(place) for place in range(len(kept.partitions))] if kept.members else []
    if not repeats or not all(repeats):
        raise InputError(
            f"study {study.name!r}: expected repeats that all {len(chosen.members)} configurations have and that did "
            "not diverge, found none",
            f"Look at one configuration alone: orch mistakes {study.name} --top 1",
        )
    rows = np.unique(np.concatenate(list(valid.values())))
    images = manifest.iloc[rows].reset_index(drop=True)
    index = {name: place for place, name in enumerate(classes)}
    truth = np.array([index[label] for label in images["label"]], dtype=np.int64)
    where = [np.searchsorted(rows, valid[name]) for name in kept.partitions]
    trials = np.zeros(len(rows), dtype=np.int64)
    for places, numbers in zip(where, repeats, strict=True):
        trials[places] += len(numbers)
    count = len(kept.members)
    read = [
        read_logits(storage, summary, name, [one[k] for one in kept.members], [repeats[k]] * count, len(where[k]))
        for k, name in enumerate(kept.partitions)
    ]
    called, chance, final, told = list[Ints](), list[Floats](), list[ConfigurationSummary](), list[str]()
    probability = np.zeros((len(rows), len(classes)))
    for member, parts in zip(kept.members, zip(*read, strict=True), strict=True):
        votes, sums = np.zeros(probability.shape, dtype=np.int32), np.zeros(probability.shape)
        if why := _added(parts, where, votes, sums):
            told.append(f"{member[0].id}: its kept predictions {why}")
            continue
        final.append(member[0])
        called.append(votes)
        chance.append(sums[np.arange(len(rows)), truth] / trials)
        probability += sums / trials[:, None]
    if not final or (chosen.is_named and told):
        raise InputError(
            f"study {study.name!r}, configuration {'; '.join(told)}",
            f"orch status {study.name} says what is missing or damaged; orch resume {study.name} trains it again",
        )
    notes += [f"Left out: configuration {one}." for one in told]
    groups, group = np.unique(images["group"].to_numpy(dtype=object), return_inverse=True)
    return Gathered(
        study=study.name,
        seed=study.seed,
        classes=classes,
        images=images,
        truth=truth,
        group=group.astype(np.int64),
        groups=tuple(groups.tolist()),
        members=tuple(final),
        names=names_of(member.configuration for member in final),
        trials=trials,
        called=np.stack(called),
        chance=np.stack(chance),
        probability=probability / len(final),
        manifest=manifest,
        split_of=split_of,
        repeats=tuple(map(len, repeats)),
        notes=tuple(notes),
    )


def _added(parts: Sequence[Read], where: Sequence[Ints], votes: Ints, sums: Floats) -> str:
    """Add what one configuration says on each partition; why it cannot be used, or "".

    where: places of a partition's images among all. votes [N, K] and sums [N, K] of probabilities are added to.
    """
    for read, places in zip(parts, where, strict=True):
        if read is None:
            return "cannot be read, or belong to other images"
        logits, other = read
        if other:
            return f"come from another epoch than its scores in {counted(other, 'repeat')}"
        of_partition = counted_votes(logits, votes.shape[1])
        votes[places] += of_partition[0]
        sums[places] += of_partition[1]
    return ""


def counted_votes(logits: np.ndarray, classes: int) -> tuple[Ints, Floats]:
    """Of logits [R, n, outputs] the votes for each class int32 [n, K] and the probabilities' sum float64 [n, K].

    One output is that of two classes: the logit of the second, as a binary task has it.
    """
    values = logits.astype(np.float64)
    if values.shape[-1] == 1:
        values = np.concatenate([np.zeros_like(values), values], axis=-1)
    images = values.shape[1]
    cells = np.arange(images) * classes + values.argmax(axis=-1)
    votes = np.bincount(cells.ravel(), minlength=images * classes).reshape(images, classes)
    return votes.astype(np.int32), np.asarray(softmax(values, axis=-1).sum(axis=0), dtype=np.float64)


def _splits(storage: Storage, manifest: pd.DataFrame, name: str) -> NDArray[np.object_]:
    path = layout.partition(name)
    split: NDArray[np.object_] = splits(manifest, Partition.from_bytes(storage.read(path), path)).to_numpy(dtype=object)
    return split


def _with_repeats(chosen: Chosen) -> tuple[Chosen, list[str]]:
    """Without configurations of which every repeat of a partition diverged."""
    kept = tuple(member for member in chosen.members if all(sound(one) for one in member))
    lost = len(chosen.members) - len(kept)
    notes = [f"Left out: {counted(lost, 'configuration')} whose repeats all diverged."] if lost else []
    return Chosen(chosen.partitions, kept, chosen.is_named, chosen.among), notes
