"""Several partitions beside one test split."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd
import pytest

from orchestrator.store.errors import InputError
from trainables.data.partition import Partition
from trainables.data.partitioning import make_partition
from trainables.data.rotation import rotate


def manifest(groups_per_class: dict[str, int], images: int = 5) -> pd.DataFrame:
    rows = [
        {"file": f"{label}{group}_{image}.png", "label": label, "group": f"{label}{group:02}"}
        for label, count in groups_per_class.items()
        for group in range(count)
        for image in range(images)
    ]
    return pd.DataFrame(rows)


def held(partition: Partition, split: str) -> set[str]:
    return {group for group, name in partition.groups.items() if name == split}


def test_the_test_split_stays_and_the_others_take_turns() -> None:
    images = manifest({"a": 20, "b": 10, "c": 5})
    first = make_partition(images, "stratified", seed=3, targets=(0.6, 0.2, 0.2))
    found = rotate(images, [first], 4, seed=3)
    assert found[0] is first
    assert len({partition.id for partition in found}) == 4
    assert {frozenset(held(partition, "test")) for partition in found} == {frozenset(held(first, "test"))}
    for partition in found:
        for label, count in (("a", 20), ("b", 10), ("c", 5)):
            inside = [group for group in held(partition, "valid") if group[0] == label]
            assert len(inside) == count // 5
    turns = Counter(group for partition in found for group in held(partition, "valid"))
    assert dict(turns) == dict.fromkeys(held(first, "train") | held(first, "valid"), 1)


def test_more_partitions_begin_with_fewer_however_they_were_asked_for() -> None:
    images = manifest({"a": 9, "b": 7})
    first = make_partition(images, "stratified")
    four = [partition.id for partition in rotate(images, [first], 4, seed=0)]
    two = rotate(images, [first], 2, seed=0)
    assert [partition.id for partition in two] == four[:2]
    assert [partition.id for partition in rotate(images, two, 4, seed=0)] == four
    shuffled = images.sample(frac=1, random_state=1)
    assert [partition.id for partition in rotate(shuffled, [first], 4, seed=0)] == four
    assert rotate(images, two, 1, seed=0) == [first]


def test_no_more_are_made_than_there_are() -> None:
    """Beside the test split each class has two groups: one must train, the other validate."""
    images = manifest({"a": 3, "b": 3})
    first = make_partition(images, "stratified")
    assert len(rotate(images, [first], 2, seed=0)) == 2
    with pytest.raises(InputError, match=r"--partitions 9: only [234] different partitions") as caught:
        rotate(images, [first], 9, seed=0)
    assert "Ask for --partitions" in caught.value.advice
    tight = Partition({"a00": "train", "a01": "valid", "b00": "train", "b01": "valid"}, "given")
    with pytest.raises(InputError, match="only"):
        rotate(manifest({"a": 2, "b": 2}), [tight], 9, seed=0)


def test_a_class_with_one_group_beside_the_test_split_is_told() -> None:
    images = manifest({"a": 6, "b": 2})
    groups = {f"a{number:02}": "train" for number in range(5)} | {"a05": "valid", "b00": "train", "b01": "test"}
    with pytest.raises(InputError, match="class 'b' has 1 group"):
        rotate(images, [Partition(groups, "given")], 2, seed=0)


def test_without_a_test_split_none_is_made() -> None:
    images = manifest({"a": 6, "b": 6})
    groups = {group: "valid" if group[1:] in ("00", "01") else "train" for group in images["group"]}
    for partition in rotate(images, [Partition(groups, "given")], 3, seed=0):
        assert held(partition, "test") == set()
        assert len(held(partition, "valid")) == 4


def test_the_proportion_of_train_and_valid_is_that_of_the_first() -> None:
    images = manifest({"a": 40})
    groups = {group: "valid" if int(group[1:]) < 18 else "train" for group in images["group"]}
    groups |= {f"a{number}": "test" for number in range(36, 40)}
    sizes = [len(held(p, "valid")) for p in rotate(images, [Partition(groups, "given")], 3, seed=0)]
    assert np.abs(np.array(sizes) - 18).max() <= 1
