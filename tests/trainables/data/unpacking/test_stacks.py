"""Stacks of arrays: the right image with the right label, split and patient, or a sentence of what is wrong."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from orchestrator.store.errors import InputError
from tests.support.packing import image_stack, patched, read
from trainables.data.dataset import load_dataset
from trainables.data.options import DatasetOptions
from trainables.data.source import list_source
from trainables.data.unpacking.opened import opened

GREY = np.random.default_rng(0).integers(0, 255, (6, 9, 8), dtype=np.uint8)
COLOUR = np.random.default_rng(1).integers(0, 255, (6, 9, 8, 3), dtype=np.uint8)
LABELS = np.array([0, 1, 2, 0, 1, 2])


def silent(_: str) -> None:
    pass


def npz(folder: Path, **arrays: np.ndarray) -> Path:
    np.savez_compressed(folder / "stack.npz", **arrays)  # type: ignore[arg-type]
    return folder / "stack.npz"


def npys(folder: Path, first: str, arrays: Mapping[str, np.ndarray]) -> Path:
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    return folder / f"{first}.npy"


def rows_of(source: Path, **options: bool) -> list[dict[str, str]]:
    found = opened(source, source.parent / "cache", silent, **options)
    with (found.path / "labels.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def images_of(source: Path) -> list[np.ndarray]:
    found = opened(source, source.parent / "cache", silent)
    return [read(found.path / row["file"]) for row in rows_of(source)]


def error_of(source: Path) -> str:
    """The refusal; nothing may have been written."""
    before = sorted((source.parent / "cache").rglob("*.png"))
    with pytest.raises(InputError) as caught:
        opened(source, source.parent / "cache", silent)
    assert sorted((source.parent / "cache").rglob("*.png")) == before
    return str(caught.value)


def test_the_layout_of_medmnist(tmp_path: Path) -> None:
    source = image_stack(tmp_path / "pathmnist.npz")
    with np.load(source) as arrays:
        stored = {name: arrays[name] for name in arrays.files}
    told = list[str]()
    found = opened(source, tmp_path / "cache", told.append)
    listing = list_source(found.path, DatasetOptions(group_by="none"))
    splits = {"train": "train", "val": "valid", "test": "test"}
    assert len(listing.entries) == sum(len(stored[f"{split}_labels"]) for split in splits)
    for entry in listing.entries:
        (name,) = (name for name, split in splits.items() if split == entry.split)
        index = int(entry.extra["index"])
        assert entry.label == str(stored[f"{name}_labels"][index, 0])
        assert np.array_equal(read(found.path / entry.file), stored[f"{name}_images"][index])
    assert "Note: images of 'val_images' (uint8 6 × 32 × 32 × 3), labels of 'val_labels': split valid." in told
    dataset = load_dataset(found.path, DatasetOptions(group_by="none"))
    assert dataset.manifest["split"].value_counts().to_dict() == {"train": 12, "valid": 6, "test": 6}
    assert not len(dataset.refused)


@pytest.mark.parametrize("images", [GREY, GREY[..., None], COLOUR], ids=["grey", "one channel", "colour"])
@pytest.mark.parametrize(
    "labels",
    [LABELS, LABELS[:, None], LABELS.astype(np.float32), np.eye(3)[LABELS], np.eye(3, dtype=bool)[LABELS]],
    ids=["numbers", "a column", "whole floats", "one-hot", "one-hot bool"],
)
def test_images_and_labels_of_every_shape(tmp_path: Path, images: np.ndarray, labels: np.ndarray) -> None:
    source = npz(tmp_path, images=images, labels=labels)
    assert [row["label"] for row in rows_of(source)] == ["0", "1", "2", "0", "1", "2"]
    assert all(np.array_equal(a, b.squeeze()) for a, b in zip(images_of(source), images, strict=True))


@pytest.mark.parametrize(
    "names",
    [
        ("x_train", "y_train", "x_val", "y_val"),
        ("X_train", "Y_train", "X_dev", "Y_dev"),
        ("trainX", "trainY", "validX", "validY"),
        ("xtrain", "ytrain", "xtest", "ytest"),
        ("images_train", "targets_train", "images_test", "targets_test"),
    ],
    ids=" ".join,
)
def test_usual_names(tmp_path: Path, names: tuple[str, ...]) -> None:
    arrays = {names[0]: COLOUR, names[1]: LABELS, names[2]: GREY[:2], names[3]: LABELS[1:3]}
    other = "test" if "test" in names[2] else "valid"
    expected = [("train", str(label)) for label in LABELS] + [(other, "1"), (other, "2")]
    assert [(row["split"], row["label"]) for row in rows_of(npz(tmp_path, **arrays))] == expected
    (tmp_path / "single").mkdir()
    single = npys(tmp_path / "single", names[0], arrays)
    assert [(row["split"], row["label"]) for row in rows_of(single)] == expected


def test_texts_patients_and_other_columns(tmp_path: Path) -> None:
    """An array with an entry for each image is a column; what else there is, is told."""
    told = list[str]()
    source = npz(
        tmp_path,
        images=GREY,
        labels=np.array(["Tumör", "b,c", "Tumör", "b,c", "Tumör", "b,c"]),
        patients=np.array([b"p1", b"p2", b"p1", b"p2", b"p3", b"p3"]),
        age=np.array([1.5, 2, np.nan, 3, 4, 5]),
        class_names=np.array(["x", "y"]),
    )
    opened(source, tmp_path / "cache", told.append)
    rows = rows_of(source)
    assert [row["label"] for row in rows] == ["Tumör", "b,c"] * 3
    assert [row["patient"] for row in rows] == ["p1", "p2", "p1", "p2", "p3", "p3"]
    assert [row["age"] for row in rows] == ["1.5", "2.0", "nan", "3.0", "4.0", "5.0"]
    assert [row["index"] for row in rows] == list("012345")
    assert "Note: arrays that are not read: 'class_names'." in told
    listing = list_source(opened(source, tmp_path / "cache", silent).path, DatasetOptions())
    assert listing.group_meaning == "column patient of labels.csv"


@pytest.mark.parametrize("labels", ["y", "labels", "Labels", "cells_labels", "cells_y"])
def test_arrays_beside_each_other(tmp_path: Path, labels: str) -> None:
    others = {"groups": np.array(list("ppqqrr")), "unrelated": np.zeros(3), "nuclei_y": np.zeros(3)}
    source = npys(tmp_path, "cells", {"cells": GREY, labels: LABELS, **others})
    rows = rows_of(source)
    assert [row["label"] for row in rows] == list("012012")
    assert [row["group"] for row in rows] == list("ppqqrr")
    assert all(np.array_equal(a, b) for a, b in zip(images_of(source), GREY, strict=True))
    before = opened(source, tmp_path / "cache", silent)
    np.save(tmp_path / f"{labels}.npy", LABELS[::-1])
    assert opened(source, tmp_path / "cache", silent).digest != before.digest, "labels are part of the content"


def test_names_of_arrays_beside_each_other_are_part_of_the_content(tmp_path: Path) -> None:
    arrays = {"x_train": GREY, "y_train": LABELS, "patients": np.arange(6)}
    assert {row["split"] for row in rows_of(npys(tmp_path, "x_train", arrays))} == {"train"}
    for name in "xy":
        (tmp_path / f"{name}_train.npy").rename(tmp_path / f"{name}_test.npy")
    assert {row["split"] for row in rows_of(tmp_path / "x_test.npy")} == {"test"}


def test_a_table_beside_an_array(tmp_path: Path) -> None:
    table = tmp_path / "labels.csv"
    table.write_text("Image File;diagnosis;patient\n" + "".join(f"{n}.tif;{'ab'[n % 2]};p{n}\n" for n in range(6)))
    source = npys(tmp_path, "X", {"X": COLOUR})
    assert [(row["diagnosis"], row["patient"]) for row in rows_of(source)] == [("ab"[n % 2], f"p{n}") for n in range(6)]
    listing = list_source(opened(source, tmp_path / "cache", silent).path, DatasetOptions())
    assert [entry.label for entry in listing.entries] == list("ababab")
    table.write_text("image,label\n" + "".join(f"{n}.tif,a\n" for n in range(5)))
    assert "array 'X' has 6 images, labels.csv 5 rows: expected one for each" in error_of(source)
    table.write_text("index,label\n" + "".join(f"{5 - n},a\n" for n in range(6)))
    assert "column 'index' is not 0, 1, 2" in error_of(source)


def test_channels_first_is_told_and_turned(tmp_path: Path) -> None:
    source, told = npz(tmp_path, images=np.moveaxis(COLOUR, -1, 1), labels=LABELS), list[str]()
    opened(source, tmp_path / "cache", told.append)
    assert "read as N × C × H × W" in told[1]
    assert all(np.array_equal(a, b) for a, b in zip(images_of(source), COLOUR, strict=True))


@pytest.mark.parametrize("order", ["<u2", ">u2"])
def test_16_bits_stay_16_bits_and_have_one_range(tmp_path: Path, order: str) -> None:
    images = (GREY.astype(np.uint16) * 16).astype(order)
    source = npz(tmp_path, images=images, labels=LABELS)
    for found, expected in zip(images_of(source), images, strict=True):
        assert found.dtype == np.uint16
        assert np.array_equal(found, expected)
    dataset = load_dataset(opened(source, tmp_path / "cache", silent).path, DatasetOptions(group_by="none"))
    assert set(dataset.manifest["reading"]) == {"0:4095"}


@pytest.mark.parametrize(
    ("images", "sentence"),
    [
        (COLOUR / 255, "expected uint8 or uint16: save them as uint8; values from 0 to 1: (images * 255).round()"),
        (COLOUR.astype(np.int64), "expected uint8 or uint16"),
        (COLOUR.astype(np.uint16), "16-bit colour, expected uint8"),
        (np.zeros((6, 28, 28, 28), np.uint8), "volumes or other channels than 1 or 3: save slices as images"),
        (np.zeros((6, 28, 28, 28, 1), np.uint8), "volumes or other channels"),
        (np.zeros((6, 9, 8, 4), np.uint8), "volumes or other channels"),
        (np.zeros((6, 784), np.uint8), "expected N × H × W or N × H × W × 3"),
        (np.zeros((6, 0, 8), np.uint8), "holds no image"),
        (np.zeros((6, 9, 3), np.uint8), "may be one image in colour, H × W × 3: expected N × H × W"),
        (np.asfortranarray(COLOUR), "its values are in Fortran order"),
        (np.array([np.zeros(3), "x", None] * 2, dtype=object), "expected N × H × W"),
        (np.full((6, 5, 5), None), "is pickled, which is not opened"),
    ],
    ids=[
        "float",
        "int",
        "16-bit colour",
        "volumes",
        "MedMNIST3D",
        "4 channels",
        "flat",
        "empty",
        "one image",
        "Fortran",
        "ragged",
        "objects",
    ],
)
def test_images_that_are_refused(tmp_path: Path, images: np.ndarray, sentence: str) -> None:
    np.savez(tmp_path / "stack.npz", images=images, labels=LABELS, allow_pickle=True)
    message = error_of(tmp_path / "stack.npz")
    assert sentence in message
    assert f"array 'images' ({images.dtype} 6" in message


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        (
            np.array([[1, 1, 0]] * 2 + [[0, 0, 0]] + [[0, 0, 1]] * 3),
            "3 rows have no class or several (entries '0', '1'",
        ),
        (np.array([[2, 0, 0]] * 6), "expected one label for each image, or rows of 0 and 1"),
        (np.zeros((6, 2, 2)), "expected one label for each image"),
        (np.array([0, 0.5, 1, 1, 1, np.nan]), "found numbers that are not whole: '0.5', 'nan'"),
        (np.array(list("ababab"), dtype=object), "expected numbers or text; save it as such"),
        (LABELS[:5], "array 'images' has 6 images, but 'labels' (int64 5) has another length"),
        (np.array(1), "has another length"),
        (np.array([b"\xff"] * 6), "its text is not valid UTF-8"),
        (np.array([1j] * 6), "expected numbers or text"),
    ],
    ids=["several", "counts", "tables", "floats", "objects", "short", "single", "bytes", "complex"],
)
def test_labels_that_are_refused(tmp_path: Path, labels: np.ndarray, sentence: str) -> None:
    assert sentence in error_of(npz(tmp_path, images=GREY, labels=labels))


@pytest.mark.parametrize(
    "patients", [np.arange(5), np.zeros((6, 2)), np.array([*"ababa", None], dtype=object)], ids=str
)
def test_groups_that_do_not_fit_the_images_are_refused(tmp_path: Path, patients: np.ndarray) -> None:
    np.savez(tmp_path / "stack.npz", images=GREY, labels=LABELS, patients=patients, allow_pickle=True)
    message = error_of(tmp_path / "stack.npz")
    assert f"array 'patients' ({patients.dtype} {patients.shape[0]}" in message
    assert "expected one number or text for each of the 6 images of 'images'" in message


def test_names_of_several_ids_are_columns_of_ids(tmp_path: Path) -> None:
    rows = rows_of(npz(tmp_path, images=GREY, labels=LABELS, patient_ids=np.array(list("aabbcc"))))
    assert [row["patient_id"] for row in rows] == list("aabbcc")


def test_all_faults_of_a_stack_come_together(tmp_path: Path) -> None:
    source = npz(
        tmp_path,
        train_images=COLOUR / 255,
        train_labels=LABELS[:2],
        val_images=GREY,
        test_labels=LABELS,
        valid_x=GREY,
    )
    message = error_of(source)
    assert "5 faults" in message
    assert "array 'train_images' has 6 images, but 'train_labels' (int64 2) has another length" in message
    assert "arrays 'val_images' and 'valid_x' are both images by their names: keep one" in message
    assert "array 'val_images' has no labels beside it" in message
    assert "array 'test_labels' holds labels of test, but there is no array of those images" in message
    assert "array 'train_images' (float64 6 × 9 × 8 × 3): expected uint8" in message
    assert "train_images, train_labels, val_images …; patients or groups beside them" in message


def test_names_that_say_nothing(tmp_path: Path) -> None:
    np.savez(tmp_path / "stack.npz", GREY, LABELS)
    message = error_of(tmp_path / "stack.npz")
    assert "no array has a name for images, found 'arr_0' (uint8 6 × 9 × 8), 'arr_1' (int64 6)" in message
    assert "Usual names are images and labels, x_train, y_train" in message
    assert "no labels beside it" in error_of(npz(tmp_path, images=GREY))
    assert "some of a split and some of none" in error_of(npz(tmp_path, x=GREY, y=LABELS, x_train=GREY, y_train=LABELS))
    assert "are all labels by their names" in error_of(npz(tmp_path, x=GREY, y=LABELS, labels=LABELS))
    (tmp_path / "y.npy").write_bytes(b"")
    assert "by its name it does not hold images" in error_of(tmp_path / "y.npy")


def test_predictions_need_no_labels(tmp_path: Path) -> None:
    source = npz(tmp_path, images=GREY)
    assert [row["index"] for row in rows_of(source, labelled=False)] == list("012345")
    assert "array 'images' has no labels beside it" in error_of(source), "though it is unpacked"


@pytest.mark.parametrize("name", ["stack.npz", "X.npy"])
def test_damaged_files(tmp_path: Path, name: str) -> None:
    source = tmp_path / name
    np.save(tmp_path / "y.npy", LABELS)
    for share in (0.0, 0.5, 0.95):
        if name == "stack.npz":
            npz(tmp_path, images=GREY, labels=LABELS)
        else:
            np.save(source, GREY)
        patched(source, lambda content, share=share: content[: int(len(content) * share)])  # type: ignore[misc]
        assert "cannot be read to its end" in error_of(source)
    source.write_bytes(b"no array")
    assert "cannot be read to its end" in error_of(source)


def test_a_header_that_lies(tmp_path: Path) -> None:
    """More than there is, less than there is, and an image of more bytes than the memory has."""
    np.save(tmp_path / "y.npy", LABELS)
    for says in ("(6, 9, 9)", "(6, 9, 7)"):
        np.save(tmp_path / "X.npy", GREY)
        patched(tmp_path / "X.npy", lambda content, says=says: content.replace(b"(6, 9, 8)", says.encode()))  # type: ignore[misc]
        assert "than its header says" in error_of(tmp_path / "X.npy")
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "|u1", "fortran_order": False, "shape": (6, 1_000_000, 1_000_000)}
    )
    (tmp_path / "X.npy").write_bytes(header.getvalue())
    assert "more than 100,000,000 pixels in one image" in error_of(tmp_path / "X.npy")
    huge = io.BytesIO()
    np.lib.format.write_array_header_1_0(huge, {"descr": "<U99999999", "fortran_order": False, "shape": (6,)})
    np.save(tmp_path / "X.npy", GREY)
    (tmp_path / "y.npy").write_bytes(huge.getvalue())
    assert "expected labels of at most 1 GB" in error_of(tmp_path / "X.npy")


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    class Poison:
        def __reduce__(self) -> tuple[object, tuple[str, str]]:
            return open, (str(tmp_path / "poisoned"), "w")

    np.savez(tmp_path / "stack.npz", images=GREY, labels=np.array([Poison()] * 6, dtype=object), allow_pickle=True)
    assert "expected numbers or text" in error_of(tmp_path / "stack.npz")
    assert not (tmp_path / "poisoned").exists()


def test_one_image_at_a_time_is_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, sizes = npz(tmp_path, images=COLOUR, labels=LABELS), list[int]()
    opens = zipfile.ZipExtFile.read

    def noted(self: zipfile.ZipExtFile, n: int | None = -1) -> bytes:
        found = opens(self, n)
        sizes.append(len(found))
        return found

    monkeypatch.setattr(zipfile.ZipExtFile, "read", noted)
    images_of(source)
    assert max(sizes) <= COLOUR[0].nbytes


def test_an_array_that_is_twice_in_a_file(tmp_path: Path) -> None:
    source = npz(tmp_path, images=GREY, labels=LABELS, labelz=LABELS)
    patched(source, lambda content: content.replace(b"labelz.npy", b"labels.npy"))
    assert "holds array 'labels.npy' more than once" in error_of(source)
