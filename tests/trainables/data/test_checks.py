"""Nothing is shared between splits, and every class reaches each of them."""

from __future__ import annotations

import pandas as pd
import pytest

from orchestrator.store.errors import InputError
from trainables.data.checks import check_classes, check_splits, duplicates


def manifest() -> pd.DataFrame:
    rows = [
        (f"{label}/{split}{number}.png", label, f"{label}-{split}", split, f"{label}{split}{number}")
        for label in ("D", "PD")
        for split in ("train", "valid", "test")
        for number in range(2)
    ]
    return pd.DataFrame(rows, columns=["file", "label", "group", "split", "content"])


def faults(frame: pd.DataFrame) -> str:
    with pytest.raises(InputError) as caught:
        check_splits(frame)
    return str(caught.value)


def test_a_sound_partition_passes() -> None:
    check_splits(manifest())
    check_classes(manifest())


def test_a_group_may_hold_several_classes() -> None:
    check_splits(manifest().assign(group=lambda frame: frame["split"]))


def test_a_group_in_two_splits_is_named() -> None:
    frame = manifest()
    frame.loc[0, "group"] = "PD-test"
    assert "group 'PD-test' is in 2 splits: train (1 images), test (2 images)" in faults(frame)


def test_equal_pixels_across_splits_and_labels_are_named() -> None:
    frame = manifest()
    frame.loc[frame["file"].isin(["D/train0.png", "PD/test1.png"]), "content"] = "same"
    message = faults(frame)
    assert "2 faults" in message
    assert "equal pixels with different labels: 'D/train0.png' (D), 'PD/test1.png' (PD)" in message
    assert "equal pixels in different splits: 'D/train0.png' (train), 'PD/test1.png' (test)" in message


def test_equal_pixels_of_one_label_in_one_split_are_only_reported() -> None:
    frame = manifest()
    frame.loc[frame["file"].isin(["D/train1.png", "D/train0.png"]), "content"] = "same"
    check_splits(frame)
    assert duplicates(frame) == [("D/train0.png", "D/train1.png")]
    assert duplicates(manifest()) == []


def test_empty_splits_and_files_without_one() -> None:
    frame = manifest()
    message = faults(frame[~((frame["label"] == "D") & (frame["split"] == "valid"))])
    assert "split 'valid' has no image of class 'D'" in message
    assert "split 'test' has no images" in faults(frame[frame["split"] != "test"])
    frame.loc[3, "split"] = ""
    assert "1 files are in no split" in faults(frame)


def test_many_faults_are_shortened() -> None:
    frame = pd.concat([manifest(), manifest().assign(split="train")] * 1)
    many = pd.concat([frame.assign(group=frame["group"] + str(number)) for number in range(10)])
    assert "and 20 more groups in two splits" in faults(many)


def test_a_class_with_too_few_groups() -> None:
    frame = manifest()
    with pytest.raises(InputError) as caught:
        check_classes(frame[(frame["label"] == "PD") | (frame["file"] == "D/train0.png")])
    message = str(caught.value)
    assert "class 'D': 1 image in 1 group ('D-train'), expected at least 3 groups" in message
    assert "Merge the class" in message
    check_classes(frame[frame["split"] != "test"], splits=2)
