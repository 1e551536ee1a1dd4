"""What levels of folders mean, and that no class vanishes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from orchestrator.store.errors import InputError
from trainables.data.options import DatasetOptions
from trainables.data.source import list_source


def touch(root: Path, files: Iterable[str], content: bytes = b"x") -> Path:
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_bytes(content)
    return root


def listed(source: Path, **options: object) -> list[tuple[str, str, str, str]]:
    listing = list_source(source, DatasetOptions(**options))  # type: ignore[arg-type]
    return sorted((entry.label, entry.group, entry.split, entry.fold) for entry in listing.entries)


def error_of(source: Path, **options: object) -> str:
    with pytest.raises(InputError) as caught:
        list_source(source, DatasetOptions(**options))  # type: ignore[arg-type]
    return str(caught.value)


@pytest.mark.parametrize(
    "names",
    [
        ("Training_Set", "Validation_Set", "Test_Set"),
        ("training", "val", "testing"),
        ("TRAIN", "DEV", "TEST"),
        ("train_data", "valid_data", "test_data"),
    ],
)
def test_folders_of_splits_in_any_spelling(tmp_path: Path, names: tuple[str, ...]) -> None:
    touch(tmp_path, [f"{name}/{label}/1.png" for name in names for label in "ab"])
    assert listed(tmp_path) == [(label, "", split, "") for label in "ab" for split in ("test", "train", "valid")]


def test_folders_of_splits_in_words_of_their_own(tmp_path: Path) -> None:
    touch(tmp_path, [f"{name}/{label}/1.png" for name in ("train", "tune", "final") for label in "ab"])
    message = error_of(tmp_path)
    assert "'train' are read as the given splits, but 'final', 'tune' lie beside them" in message
    assert "--split-words train=WORD,valid=tune,test=WORD" in message
    words = (("tune", "valid"), ("final", "test"))
    assert {split for _, _, split, _ in listed(tmp_path, split_words=words)} == {"train", "valid", "test"}
    assert "but no split folder has such a name" in error_of(tmp_path, split_words=(*words, ("finals", "test")))


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    touch(tmp_path, ("train/1.png", "bus/1.png"))
    assert "add --layout class if all of the folders are classes" in error_of(tmp_path)
    assert [label for label, *_ in listed(tmp_path, layout="class")] == ["bus", "train"]
    touch(tmp_path / "other", ("test/1.png", "control/1.png"))
    assert [label for label, *_ in listed(tmp_path / "other")] == ["control", "test"]


@pytest.mark.parametrize("between", [("train", "valid", "test"), ("training_set", "val", "Test-Set"), ("images",) * 3])
def test_a_level_between_splits_and_classes_is_asked_about(tmp_path: Path, between: tuple[str, ...]) -> None:
    tops = ("train", "val", "test")
    touch(tmp_path, [f"{top}/{one}/{label}/1.png" for top, one in zip(tops, between, strict=True) for label in "ab"])
    message = error_of(tmp_path)
    assert "which do not look like classes, and below them 'a', 'b'" in message
    assert "Add --layout split/-/class if these are the classes" in message
    expected = [(label, "", split, "") for label in "ab" for split in ("test", "train", "valid")]
    assert listed(tmp_path, layout="split/-/class") == expected
    assert {label for label, *_ in listed(tmp_path, layout="split/class")} == set(between)


def test_patients_above_classes_are_asked_about(tmp_path: Path) -> None:
    touch(tmp_path, [f"patient{p}/{label}/1.png" for p in range(4) for label in "xyz"])
    message = error_of(tmp_path, group_by="parent")
    assert "the first level of folders is 'patient0', 'patient1', 'patient2', 'patient3'" in message
    assert "--layout group/class if these are patients and 'x', 'y' classes" in message
    assert listed(tmp_path, layout="group/class")[:2] == [("x", "patient0", "", ""), ("x", "patient1", "", "")]
    assert list_source(tmp_path, DatasetOptions(layout="group/class")).group_meaning == "folder level 1"
    assert "both say what a group is" in error_of(tmp_path, layout="group/class", group_by="parent")
    assert {label for label, *_ in listed(tmp_path, layout="-/class")} == {"x", "y", "z"}


@pytest.mark.parametrize(
    "files",
    [
        [f"p{p}/{label}/1.png" for p in range(4) for label in ("xyz" if p else "x")],
        [f"{p:03}/{'xy'[p % 2]}/1.png" for p in range(6)],
        [f"{name}/{label}/1.png" for name in ("Anna", "Bert", "Carl") for label in ("tumour", "normal")],
        [f"{label}/{size}/1.png" for label in ("benign", "malignant") for size in ("small", "large")],
    ],
)
def test_an_order_of_levels_that_may_be_the_other_is_asked_about(tmp_path: Path, files: list[str]) -> None:
    message = error_of(touch(tmp_path, files), group_by="parent")
    assert "Which of the two are the classes?" in message
    assert "--layout group/class" in message
    assert "--layout class" in message


@pytest.mark.parametrize(
    "files",
    [
        [f"{label}/p{p}/1.png" for label in ("tumour", "normal") for p in range(3)],
        [f"{label}/p{label}{p}/1.png" for label in "ab" for p in range(3)],
        [f"{digit}/img_{digit}.png" for digit in range(10)],
        [f"{label}/SOB/{label}{p}/40X/1.png" for label in ("benign", "malignant") for p in range(3)],
    ],
)
def test_classes_above_patients_are_the_usual_order(tmp_path: Path, files: list[str]) -> None:
    assert {label for label, *_ in listed(touch(tmp_path, files))} == {file.split("/")[0] for file in files}


@pytest.mark.parametrize("names", ["patient{}", "Slide_{:02}", "case-{}_tumour", "subject {}", "P{:03}"])
def test_a_folder_for_each_patient_is_no_class(tmp_path: Path, names: str) -> None:
    touch(tmp_path, [f"{names.format(p)}/{image}.png" for p in range(5) for image in range(2)])
    message = error_of(tmp_path, group_by="none")
    assert "which look like patients or slides, not classes" in message
    assert "--layout class if they are the classes" in message
    assert len(listed(tmp_path, layout="class")) == 10


@pytest.mark.parametrize("name", ["fold{}", "Fold_{}", "cv-{}", "split {}"])
def test_folds_are_no_classes(tmp_path: Path, name: str) -> None:
    touch(tmp_path, [f"{name.format(f)}/{label}/1.png" for f in range(3) for label in "ab"])
    message = error_of(tmp_path)
    last = name.format(2)
    assert f"--layout fold/class --test-fold {last}" in message
    found = listed(tmp_path, layout="fold/class", test_fold=last)
    assert {(split, fold) for _, _, split, fold in found} == {
        ("", name.format(0)),
        ("", name.format(1)),
        ("test", last),
    }


def test_folds_with_splits_of_their_own_are_not_read_as_classes(tmp_path: Path) -> None:
    touch(
        tmp_path, [f"fold{f}/{split}/{label}/1.png" for f in range(3) for split in ("train", "test") for label in "ab"]
    )
    message = error_of(tmp_path)
    assert "which look like folds, not classes, with splits of their own ('test', 'train')" in message
    assert message.endswith(f"Take one: --data {tmp_path / 'fold0'}")


def test_classes_above_splits_and_splits_in_names(tmp_path: Path) -> None:
    touch(tmp_path / "one", [f"{label}/{split}/1.png" for label in "ab" for split in ("train", "val", "test")])
    assert "Add --layout class/split if they are classes" in error_of(tmp_path / "one")
    assert {split for _, _, split, _ in listed(tmp_path / "one", layout="class/split")} == {"train", "valid", "test"}
    touch(tmp_path / "two", [f"{split}_{label}/1.png" for label in "ab" for split in ("train", "test")])
    assert "names that combine a split with something else" in error_of(tmp_path / "two")
    touch(tmp_path / "three", [f"images/{label}/1.png" for label in "ab"])
    assert f"--data {tmp_path / 'three' / 'images'}" in error_of(tmp_path / "three")


def test_archives_and_arrays_within_folders_are_named(tmp_path: Path) -> None:
    touch(tmp_path, ("a.zip", "b.7z", "c.npz", "d.h5"))
    message = error_of(tmp_path)
    assert "not read: an archive within the data: unpack it there, or give it alone" in message
    assert "not read: a NumPy array: give it alone, --data FILE, or save each image as PNG" in message
    assert "not read: an array: save each image as PNG" in message


def test_layouts_that_are_none(tmp_path: Path) -> None:
    touch(tmp_path, ("a/1.png", "b/1.png"))
    assert "found 'klass'" in error_of(tmp_path, layout="group/klass")
    assert "class is missing" in error_of(tmp_path, layout="group")
    assert "class occurs twice" in error_of(tmp_path, layout="class/class")
    assert "--group-column with class folders, which have no columns" in error_of(tmp_path, group_column="patient")
    assert "expected train, valid or test" in error_of(touch(tmp_path / "x", ("u/a/1.png",)), layout="split/class")


def test_a_class_folder_that_is_empty_or_unread_stops(tmp_path: Path) -> None:
    touch(tmp_path / "far", ("c/1.png",))
    data = touch(tmp_path / "data", ("a/1.png", "b/1.png", "heic/1.heic", "slides/1.svs", "arrays/1.npy", "zips/a.zip"))
    touch(data, ("kept/.gitkeep", "thumbs/Thumbs.db", "nas/@eaDir/1.png", "forks/._1.png"))
    (data / "empty").mkdir()
    (data / "link").symlink_to(tmp_path / "far" / "c")
    (data / "broken").symlink_to(tmp_path / "nothing")
    message = error_of(data)
    for name in ("empty", "kept", "thumbs", "nas", "forks"):
        assert f"class folder '{name}' is empty" in message
    assert "class folder 'link' holds no image that can be read: 1 × outside the data root" in message
    assert "class folder 'broken' holds no image that can be read: 1 × not a file" in message
    assert "'heic' holds no image that can be read: 1 × not read: a HEIC or AVIF photograph: save it as JPEG" in message
    assert "'slides' holds no image that can be read: 1 × not read: a whole-slide image: cut it into tiles" in message
    assert "1 × not read: an archive within the data: unpack it" in message
    assert "'arrays' holds no image" in message


def test_an_empty_split_stops_and_an_empty_class_within_one_is_told(tmp_path: Path) -> None:
    touch(tmp_path, [f"{split}/{label}/1.png" for split in ("train", "val") for label in "ab"] + ["docs/read.md"])
    (tmp_path / "val/c").mkdir()
    (tmp_path / "test").mkdir()
    message = error_of(tmp_path)
    assert "folder 'test' is empty" in message
    assert "class folder 'val/c' is empty" in message
    touch(tmp_path, ("test/a/1.png", "train/c/1.png"))
    (tmp_path / "test/b").mkdir()
    told = dict(list_source(tmp_path, DatasetOptions()).other)
    assert told["val/c"] == told["test/b"] == "empty folder"
    assert told["docs"] == "not a class: 1 files and no image in this folder"


def test_a_link_inside_the_data_is_followed_once(tmp_path: Path) -> None:
    touch(tmp_path, ("data/a/1.png", "store/b/1.png", "store/b/deep/2.png"))
    (tmp_path / "data/b").symlink_to(tmp_path / "store/b")
    (tmp_path / "data/b/twice").symlink_to(tmp_path / "store/b/deep")
    (tmp_path / "data/b/zwice").symlink_to(tmp_path / "store/b/deep")
    (tmp_path / "store/b/up").symlink_to(tmp_path / "store")
    (tmp_path / "store/b/round").symlink_to(tmp_path)
    listing = list_source(tmp_path / "data", DatasetOptions(data_root=tmp_path))
    files = [entry.file for entry in listing.entries]
    assert files == ["data/a/1.png", "data/b/1.png", "data/b/deep/2.png", "data/b/twice/2.png"]
    assert dict(listing.refused) == {
        "data/b/round": "link to a folder: it leads back to a folder that holds it",
        "data/b/up": "link to a folder: it leads back to a folder that holds it",
        "data/b/zwice": "link to a folder: another link leads to it as well",
    }


def test_magnifications_above_classes_are_no_patients(tmp_path: Path) -> None:
    touch(tmp_path, [f"{scale}/{label}/{i}.png" for scale in ("40X", "100X") for label in ("a", "b") for i in range(2)])
    message = error_of(tmp_path)
    assert "Add --layout -/class if these are magnifications and 'a', 'b' classes" in message
    assert "group/class" not in message
    assert {label for label, *_ in listed(tmp_path, layout="-/class")} == {"a", "b"}
