"""The one range of a dataset's images with more than 8 bits: found, declared, given, or an error that asks for it."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from orchestrator.store.errors import InputError
from tests.support.odd_images import tiff_by_hand
from trainables.data.dataset import Dataset, DatasetOptions, load_dataset
from trainables.data.decode import content_hash, read_rgb
from trainables.data.manifest import reading_of
from trainables.data.reading import Intensity, Reading

BRIGHT = (4500, 5200, 6000, 7300, 8100, 9000)
"""Peaks of six images in each of two classes: a camera of 14 bits or more."""


def grey(path: Path, peak: float, kind: type = np.uint16, **options: object) -> None:
    """An image whose largest value is `peak`, most of it between 0 and that."""
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(int(peak)).uniform(0.2, 1, (20, 20)) * peak
    values[0, 0] = peak
    Image.fromarray(values.astype(kind)).save(path, **options)  # type: ignore[arg-type]


def dataset_of(folder: Path, peaks: tuple[float, ...] = BRIGHT, kind: type = np.uint16, **options: object) -> Path:
    for index, label in enumerate("ab"):
        for number, peak in enumerate(peaks):
            grey(folder / label / f"p{number}_{index}.tif", peak + index, kind, **options)
    return folder


def load(folder: Path, intensity: Intensity | None = None, **options: object) -> Dataset:
    return load_dataset(folder, DatasetOptions(group_by=r"(p\d)_", reading=Reading(intensity), **options))  # type: ignore[arg-type]


def test_one_range_for_all_is_found_from_all(tmp_path: Path) -> None:
    """A dim image must not become as bright as a bright one."""
    dataset = load(dataset_of(tmp_path))
    assert set(dataset.manifest["reading"]) == {"0:16383"}
    assert reading_of(dataset.manifest).intensity == Intensity(0, 16_383)
    for file, content in zip(dataset.manifest["file"], dataset.manifest["content"], strict=True):
        assert content == content_hash(read_rgb(tmp_path / file, 10_000, Reading(Intensity(0, 16_383))))
    (note,) = map(str, dataset.odd)
    assert note.startswith("12 images of 12: values 0:16383 are scaled to 0:255, the fewest bits ")
    assert note.endswith("(14). Another range: --intensity LOW:HIGH")


@pytest.mark.parametrize(("peak", "white"), [(200, 255), (900, 1023), (4000, 4095), (12_000, 16_383), (17_000, 65_535)])
def test_the_fewest_bits_that_hold_all(tmp_path: Path, peak: int, white: int) -> None:
    dataset = load(dataset_of(tmp_path, (peak, peak + 3, peak + 5)))
    assert reading_of(dataset.manifest).intensity == Intensity(0, white)


def test_images_of_8_bits_are_taken_as_they_are(tmp_path: Path) -> None:
    dataset_of(tmp_path)
    shown = np.random.default_rng(0).integers(0, 256, (9, 9, 3), dtype=np.uint8)
    Image.fromarray(shown).save(tmp_path / "a" / "p6_0.png")
    rows = load(tmp_path).manifest.set_index("file")
    assert rows.loc["a/p6_0.png", "reading"] == ""
    assert rows.loc["a/p6_0.png", "content"] == content_hash(shown)
    assert reading_of(rows).intensity == Intensity(0, 16_383)


def test_what_files_declare_goes_for_all(tmp_path: Path) -> None:
    dataset_of(tmp_path, tiffinfo={281: 65_535})
    grey(tmp_path / "a" / "p6_0.tif", 7000)
    dataset = load(tmp_path)
    assert reading_of(dataset.manifest).intensity == Intensity(0, 65_535)
    assert "scaled to 0:255, as the files say." in str(dataset.odd[0])


def test_a_range_that_is_given(tmp_path: Path) -> None:
    dataset = load(dataset_of(tmp_path), Intensity(0, 8000))
    assert reading_of(dataset.manifest).intensity == Intensity(0, 8000)
    assert tuple(map(str, dataset.odd)) == (
        "12 images of 12: values 0:8000 are scaled to 0:255.",
        "4 images of 12: values outside 0:8000 are clipped ('a/p4_0.tif', 'a/p5_0.tif', 'b/p4_1.tif', 'b/p5_1.tif').",
    )


def test_dim_beside_bright_is_asked_about(tmp_path: Path) -> None:
    dataset_of(tmp_path, (*BRIGHT, 3000))
    with pytest.raises(
        InputError, match=r"range unclear: 2 images of 14 with 16 bits have no value above 4095"
    ) as told:
        load(tmp_path)
    assert "--intensity 0:16383" in str(told.value)
    assert len(load(tmp_path, Intensity(0, 16_383)).manifest) == 14


def test_files_that_contradict_each_other(tmp_path: Path) -> None:
    dataset_of(tmp_path / "one", (3000, 3100, 3200), tiffinfo={281: 4095})
    grey(tmp_path / "one" / "a" / "p3_0.tif", 7000, tiffinfo={281: 16_383})
    with pytest.raises(
        InputError,
        match=r"the files declare different ranges, 6 × 0:4095, 1 × 0:16383; save all "
        r"with one",
    ):
        load(tmp_path / "one")
    dataset_of(tmp_path / "two", (3000, 3100, 3200), tiffinfo={281: 4095})
    grey(tmp_path / "two" / "a" / "p3_0.tif", 7000)
    with pytest.raises(
        InputError,
        match=r"6 images declare 4095 as the largest value, 1 image exceed it "
        r"\('a/p3_0.tif'\)",
    ):
        load(tmp_path / "two")


@pytest.mark.parametrize("kind", [np.float32, np.int32])
def test_samples_without_a_depth_need_a_range(tmp_path: Path, kind: type) -> None:
    dataset_of(tmp_path, (50, 90.25, 119.123456), kind)
    with pytest.raises(InputError, match=r"range unknown: 6 images .* hold floating point, signed or 32-bit") as told:
        load(tmp_path)
    assert re.search(r"values from \d+(\.\d{1,5})? to 120(\.123)?,", str(told.value))
    assert f"for instance --intensity 0:{121 if kind is np.float32 else 120}\n" in str(told.value)
    dataset = load(tmp_path, Intensity(0, 200))
    assert set(dataset.manifest["reading"]) == {"0:200"}


def test_32_bits_without_a_sign(tmp_path: Path) -> None:
    for index, label in enumerate("ab"):
        for number in range(3):
            (tmp_path / label).mkdir(exist_ok=True)
            values = np.full((5, 5), 2**31 + 1000 * number + index, np.uint32)
            tiff_by_hand(tmp_path / label / f"p{number}_{index}.tif", values)
    with pytest.raises(InputError, match="values from 2147483648 to 2147485649"):
        load(tmp_path)


def test_all_faults_come_together(tmp_path: Path) -> None:
    dataset_of(tmp_path, (*BRIGHT, 3000))
    for number in range(4):
        (tmp_path / "a" / f"p1_bad{number}.png").write_text("text")
    with pytest.raises(InputError, match="2 faults") as told:
        load(tmp_path)
    assert "range unclear: " in str(told.value)
    assert "4 images were refused: 4 × not an image" in str(told.value)


def test_nearly_black_and_nearly_white_are_told(tmp_path: Path) -> None:
    dataset_of(tmp_path, (5000, 5100, 60_000))
    dataset = load(tmp_path, None)
    assert dataset.odd[1:] == ()
    grey(tmp_path / "b" / "p3_1.tif", 4099)
    grey(tmp_path / "a" / "p3_0.tif", 4100)
    notes = load(tmp_path).odd
    assert str(notes[1]) == (
        "2 images of 8: nearly black ('a/p3_0.tif', 'b/p3_1.tif'). If they should not be, give the range of values: "
        "--intensity LOW:HIGH"
    )
    light = load(tmp_path, Intensity(0, 300)).odd
    assert any("8 images of 8: nearly white" in str(note) for note in light)


def test_8_bit_images_that_are_nearly_black_are_told_too(tmp_path: Path) -> None:
    """Masks of numbered regions look like this."""
    for label in "ab":
        for number in range(3):
            (tmp_path / label).mkdir(exist_ok=True)
            Image.fromarray(np.full((9, 9), number, np.uint8)).save(tmp_path / label / f"p{number}_{label}.png")
    (note,) = map(str, load(tmp_path).odd)
    assert note.startswith("6 images of 6: nearly black (")
    assert "--intensity" not in note
