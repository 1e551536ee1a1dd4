"""Images with equal pixels: refused, one of each kept, or all of them and said so."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from orchestrator.store.errors import InputError
from tests.trainables.data.test_dataset import folders, load, save
from trainables.data.checks import check_splits
from trainables.data.equal_images import kept_note, left_out


def manifest(**changed: dict[str, str]) -> pd.DataFrame:
    rows = [(f"{split}{n}.png", "D", split, f"{split}{n}") for split in ("train", "valid", "test") for n in range(3)]
    frame = pd.DataFrame(rows, columns=["file", "label", "split", "content"]).set_index("file", drop=False)
    for column, values in changed.items():
        for file, value in values.items():
            frame.loc[file, column] = value
    return frame.reset_index(drop=True)


def test_one_of_each_is_kept_that_of_the_test_split_first() -> None:
    content = dict.fromkeys(("train0.png", "train1.png", "valid2.png", "test1.png"), "same")
    reason = "equal pixels to test1.png, which is kept"
    assert left_out(manifest(content=content)) == dict.fromkeys(("train0.png", "train1.png", "valid2.png"), reason)
    assert left_out(manifest()) == {}


def test_of_several_labels_none_is_kept() -> None:
    pair = ("train0.png", "test1.png")
    frame = manifest(content=dict.fromkeys(pair, "same"), label={"test1.png": "PD"})
    assert left_out(frame) == dict.fromkeys(pair, "equal pixels with the labels D, PD")


def test_what_is_kept_on_purpose_is_counted() -> None:
    frame = manifest(content={**dict.fromkeys(("train0.png", "test1.png"), "a"), "train2.png": "b", "train1.png": "b"})
    assert kept_note(frame) == (
        "2 images were kept on purpose although an equal one is in another split: validation and test scores are "
        "too good."
    )
    assert kept_note(manifest()) == ""
    frame.loc[frame["file"] == "train1.png", "label"] = "PD"
    assert kept_note(frame).endswith("2 images were kept on purpose although an equal one has another label.")


def test_a_dataset_that_keeps_one_lists_the_others(tmp_path: Path) -> None:
    root = folders(tmp_path)
    save(root / "a" / "p1_9.png", 100)  # as a/p0_0.png
    save(root / "b" / "p1_9.png", 101)  # as a/p0_1.png
    assert len(load(root).manifest) == len(load(root, duplicates="keep-all").manifest) == 10
    dataset = load(root, duplicates="keep-one")
    assert dataset.refused.to_numpy().tolist() == [
        ["a/p0_1.png", "equal pixels with the labels a, b"],
        ["a/p1_9.png", "equal pixels to a/p0_0.png, which is kept"],
        ["b/p1_9.png", "equal pixels with the labels a, b"],
    ]
    assert len(dataset.manifest) == len(dataset.pictures) == 7
    assert dataset.manifest.index.tolist() == list(range(7))
    assert (
        "1 image was left out because an equal one is kept, 2 images were left out because an equal one has another "
        "label." in dataset.warnings
    )


def test_all_faults_are_counted_though_twenty_are_told() -> None:
    rows = [(f"{split}{n}.png", "D", f"{split}{n}", split, str(n)) for split in ("train", "valid") for n in range(52)]
    frame = pd.DataFrame(rows, columns=["file", "label", "group", "split", "content"])
    with pytest.raises(InputError, match="partition: 52 faults") as caught:
        check_splits(frame, ("train", "valid"))
    assert "and 32 more sets of equal images in different splits" in str(caught.value)
    assert "--duplicates keep-one or keep-all" in caught.value.advice
    check_splits(frame, ("train", "valid"), keeps_equal=True)
