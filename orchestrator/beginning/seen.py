"""What images say of the study that can be made of them."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

import pandas as pd

from orchestrator.store.errors import InputError
from orchestrator.study.preparation import DataRequest, check_rule, describe_partition, divide
from search_spaces.classes import settle_classes
from search_spaces.schema import Space
from trainables.data.checks import SPLITS, check_splits
from trainables.data.dataset import Dataset
from trainables.data.groups import INDEPENDENT
from trainables.data.partition import splits
from trainables.data.partitioning import Policy, make_partition

_OTHER_POLICIES: tuple[Policy, ...] = ("ifp", "psp", "ifpo")


@dataclass(frozen=True)
class Seen:
    """typed: the options of a search that read these images, as they are typed. task: "binary" or "multiclass".

    images, groups: how many of each class, in the order of `classes`. has_groups: False where every image is a group.
    division: a row for each class, see `describe_partition`. policy: that divides them; "" where the data do.
    train: images of the train split. side, sides: pixels of the shorter side, the median and (least, most).
    not_square: how many images are not.
    """

    typed: str
    task: str
    classes: tuple[str, ...]
    images: tuple[int, ...]
    groups: tuple[int, ...]
    group_meaning: str
    has_groups: bool
    policy: str
    division: pd.DataFrame
    train: int
    side: int
    sides: tuple[int, int]
    not_square: int
    notes: tuple[str, ...] = ()

    @property
    def imbalance(self) -> float:
        """Images of the largest class for each of the smallest one."""
        return max(self.images) / min(self.images)


def see(space: Space, dataset: Dataset, typed: DataRequest) -> Seen:
    """space: the default one, under the study's name, with the names of classes that were given. Raises InputError
    where a search would refuse the images, or names of classes that they do not have. Where all classes are named their
    order is that of the names, else the alphabet's."""
    manifest = dataset.manifest
    check_rule(dataset, typed)
    if missing := sorted({*space.class_names.values()} - {*manifest["label"]}):
        told = ", ".join(name for name, shown in space.class_names.items() if shown in missing)
        there = ", ".join(sorted({*manifest["label"]}))
        raise InputError(
            f"--classes: expected classes of the data, found {told}", f"The classes of the data are: {there}"
        )
    names = tuple(space.class_names.values())
    if {*names} == {*manifest["label"]}:
        space = space.model_copy(update={"classes": names})
    task, classes = settle_classes(space, manifest["label"], "")
    policy, split = _divided(space, dataset, keeps_equal=typed.options.duplicates == "keep-all")
    shorter = manifest[["width", "height"]].min(axis=1)
    labels = manifest.groupby("label")
    return Seen(
        typed.typed(),
        task,
        classes,
        tuple(int(labels.size()[name]) for name in classes),
        tuple(int(labels["group"].nunique()[name]) for name in classes),
        dataset.group_meaning,
        dataset.group_meaning != INDEPENDENT,
        policy,
        describe_partition(manifest, split),
        int((split == "train").sum()),
        int(shorter.median()),
        (int(shorter.min()), int(shorter.max())),
        int((manifest["width"] != manifest["height"]).sum()),
        (*dataset.notes, *map(str, dataset.odd)),
    )


def _divided(space: Space, dataset: Dataset, *, keeps_equal: bool) -> tuple[str, pd.Series[str]]:
    """The policy ("" where the data say how they are divided) and the split of each image: by the usual policy, else by
    the first other one that a search would take."""
    manifest = dataset.manifest
    own = divide(space, manifest, seed=0)
    split = splits(manifest, own)
    given = own.policy in ("given", "valid_from_train")
    try:
        check_splits(manifest.assign(split=split), SPLITS[:2] if given else SPLITS, keeps_equal=keeps_equal)
    except InputError:
        for policy in () if given else _OTHER_POLICIES:
            with contextlib.suppress(InputError):
                other = splits(manifest, make_partition(manifest, policy, seed=0, targets=space.partition.targets))
                check_splits(manifest.assign(split=other), keeps_equal=keeps_equal)
                return policy, other
        raise
    return "" if given else own.policy, split
