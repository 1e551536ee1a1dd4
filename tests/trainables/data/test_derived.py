"""Pictures made of others that lie beside them are no images, which is told."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path, PurePosixPath

import pytest

from orchestrator.store.errors import InputError
from trainables.data.listing import Listing
from trainables.data.options import DatasetOptions
from trainables.data.source import list_source


def listed(root: Path, files: Iterable[str], **options: str) -> Listing:
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_bytes(b"x")
    return list_source(root, DatasetOptions(**options))  # type: ignore[arg-type]


def error_of(root: Path, files: Iterable[str], **options: str) -> str:
    with pytest.raises(InputError) as caught:
        listed(root, files, **options)
    return str(caught.value)


ORIGINALS = ("a/x1.png", "a/x2.png", "b/y1.png")


@pytest.mark.parametrize(
    "file",
    [
        *("a/x1_thumb.png", "a/thumb_x1.jpg", "a/x1-thumb.jpg", "a/X1_Thumbnail.PNG", "a/x1_preview.webp"),
        *("a/x1.thumb.png", "a/thumbs/x1.png", "a/thumbnails/x1_thumb.jpg", "b/previews/y1.png", "thumbs/x1.png"),
        "Thumbnails/a/x1.jpg",
    ],
)
def test_small_copies_are_passed_over_and_told(tmp_path: Path, file: str) -> None:
    listing = listed(tmp_path, (*ORIGINALS, file))
    assert sorted(entry.file for entry in listing.entries) == sorted(ORIGINALS)
    assert listing.refused == []
    assert dict(listing.other)[file].startswith("a small copy: ")


@pytest.mark.parametrize(
    "file",
    [
        "a/x1_mask.png",
        "a/mask_x1.tif",
        "a/x1_segmentation.png",
        "b/y1-seg.png",
        "b/y1_gt.png",
        "a/x1_mask_1.png",
        "a/x1_mask2.png",
    ],
)
def test_masks_beside_their_images_are_passed_over_and_told(tmp_path: Path, file: str) -> None:
    listing = listed(tmp_path, (*ORIGINALS, file))
    assert sorted(entry.file for entry in listing.entries) == sorted(ORIGINALS)
    assert dict(listing.other)[file] == "a mask: named after an image beside it"


@pytest.mark.parametrize(
    ("images", "masks"), [("a", "a/masks"), ("a/images", "a/masks"), ("a/img", "a/Labels"), ("train/a", "train/a/mask")]
)
def test_masks_in_a_folder_of_their_class_are_passed_over_and_told(tmp_path: Path, images: str, masks: str) -> None:
    files = [f"{folder}/x{number}.png" for folder in (images, masks) for number in range(3)]
    files += [file.replace("train/", "test/") for file in files if "train/" in file]
    others = [file.replace("a/", "b/", 1) for file in files]
    listing = listed(tmp_path, [*files, *others], layout="split/class" if "train/" in images else "class")
    assert len(listing.entries) == len([*files, *others]) / 2
    assert masks.rpartition("/")[2] not in {PurePosixPath(entry.file).parent.name for entry in listing.entries}
    assert dict(listing.other)[f"{masks}/x0.png"] == "a mask: in a folder of masks, named like an image beside it"
    assert not listing.refused


def test_a_folder_of_masks_without_images_of_their_names_is_kept(tmp_path: Path) -> None:
    files = (*ORIGINALS, "a/masks/other.png", "b/masks/x1.png")
    assert len(listed(tmp_path, files).entries) == len(files)


def test_a_name_alone_makes_no_copy(tmp_path: Path) -> None:
    files = (*ORIGINALS, "a/z_thumb.png", "b/x1_mask.png", "a/x1_b.png", "a/unmasked_x1.png", "b/thumb.png")
    assert len(listed(tmp_path, files).entries) == len(files)


def test_copies_without_their_originals_count_as_refused(tmp_path: Path) -> None:
    listing = listed(tmp_path, (*ORIGINALS, "a/thumbs/lost.png"))
    assert listing.refused == [("a/thumbs/lost.png", listing.refused[0][1])]
    assert "no image outside it has this name" in listing.refused[0][1]


@pytest.mark.parametrize(
    ("images", "masks"),
    [
        ("images", "masks"),
        ("Images", "labels"),
        ("img", "annotations"),
        ("imgs", "segmentations"),
        ("images", "ground_truth"),
        ("image", "SegmentationMasks"),
        ("train/images", "train/masks"),
    ],
)
def test_images_beside_masks_are_no_classes(tmp_path: Path, images: str, masks: str) -> None:
    files = [f"{folder}/{number}.png" for folder in (images, masks) for number in range(3)]
    if "/" in images:
        files += [file.replace("train/", "test/") for file in files]
    message = error_of(tmp_path, files)
    assert "look like images and their masks, as in a segmentation data set, not like classes" in message
    assert "--layout class if these are the classes" in message


def test_who_says_that_they_are_classes_is_believed(tmp_path: Path) -> None:
    files = [f"{folder}/{number}{folder}.png" for folder in ("images", "masks") for number in range(3)]
    assert {entry.label for entry in listed(tmp_path, files, layout="class").entries} == {"images", "masks"}
    other = [f"{folder}/{number}.png" for folder in ("mask", "no_mask") for number in range(3)]
    assert {entry.label for entry in listed(tmp_path / "faces", other).entries} == {"mask", "no_mask"}
