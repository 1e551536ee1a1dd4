"""DICOM files: grey by the range that they state or that is given, colour as it is, the rest refused by name."""

from __future__ import annotations

import contextlib
import io
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLosslessSV1,
    RLELossless,
)

from orchestrator.store.errors import InputError
from tests.support.dicom_files import SECRETS, dicom, encoded
from trainables.data.dataset import Dataset as Images
from trainables.data.dataset import load_dataset
from trainables.data.decode import decode, is_image, read_rgb
from trainables.data.manifest import reading_of
from trainables.data.options import DatasetOptions
from trainables.data.reading import AS_IT_IS, Intensity, Reading, RefusedImageError
from trainables.data.shades import NoRangeError

LIMIT = 1_000_000
TWELVE = np.array([[0, 1000, 2048, 4095]], dtype=np.uint16)


def by(low: float, high: float, **more: Any) -> Reading:
    return Reading(Intensity(low, high), **more)


def grey(path: Path, reading: Reading = AS_IT_IS) -> list[int]:
    found = read_rgb(path, LIMIT, reading)
    assert (found == found[..., :1]).all()
    return [int(value) for value in found[0, :, 0]]


def stated(path: Path) -> Any:
    with pytest.raises(NoRangeError) as caught:
        decode(path, LIMIT)
    return caught.value.samples.stated


def refusal(path: Path, reading: Reading = AS_IT_IS, limit: int = LIMIT) -> str:
    with pytest.raises(RefusedImageError) as caught:
        decode(path, limit, reading)
    return caught.value.reason


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, "1.2.840.10008.1.2.1"])
def test_12_bits_are_scaled_by_the_range(tmp_path: Path, syntax: str) -> None:
    path = dicom(tmp_path / "a.dcm", TWELVE, 12, syntax)
    assert grey(path, by(0, 4095)) == [0, 62, 128, 255]
    assert grey(
        dicom(tmp_path / "b.dcm", TWELVE, 12, syntax, PhotometricInterpretation="MONOCHROME1"), by(0, 4095)
    ) == [
        255,
        193,
        127,
        0,
    ]
    assert stated(path).range == Intensity(0, 4095)


def test_big_endian_is_read(tmp_path: Path) -> None:
    path = dicom(tmp_path / "a.dcm", TWELVE.byteswap(), 12, ExplicitVRBigEndian)
    assert grey(path, by(0, 4095)) == [0, 62, 128, 255]


def test_bits_above_those_stored_are_no_values(tmp_path: Path) -> None:
    """Overlays lay there once; some writers leave the sign out of them."""
    path = dicom(tmp_path / "a.dcm", TWELVE | np.uint16(0xF000), 12)
    assert grey(path, by(0, 4095)) == [0, 62, 128, 255]
    signed = np.array([[-2048, -1, 0, 2047]], dtype=np.int16) & np.int16(0x0FFF)
    path = dicom(tmp_path / "b.dcm", signed, 12)
    assert grey(path, by(-2048, 2047)) == [0, 127, 128, 255]


def test_values_are_rescaled_first(tmp_path: Path) -> None:
    path = dicom(tmp_path / "ct.dcm", TWELVE, 12, RescaleSlope=2, RescaleIntercept=-1024)
    assert stated(path).range == Intensity(-1024, 4095 * 2 - 1024)
    assert grey(path, by(-1024, 4096)) == [0, 100, 204, 255]
    down = dicom(tmp_path / "down.dcm", TWELVE, 12, RescaleSlope=-1, RescaleIntercept=0)
    assert stated(down).range == Intensity(-4095, 0)
    assert refusal(dicom(tmp_path / "flat.dcm", TWELVE, 12, RescaleSlope=0, RescaleIntercept=0)).startswith("rescale: ")


def test_a_table_takes_the_place_of_rescaling(tmp_path: Path) -> None:
    table = Dataset()
    table.LUTDescriptor = [4, 0, 8]
    table.ModalityLUTType = "US"
    table.add_new("LUTData", "US", [7, 70, 170, 200])
    values = np.array([[0, 1, 2, 3]], dtype=np.uint16)
    path = dicom(tmp_path / "a.dcm", values, 12, ModalityLUTSequence=[table])
    assert grey(path) == [7, 70, 170, 200], "8 bits after the table"


@pytest.mark.parametrize(
    ("centre", "width", "function", "expected"),
    [
        (2048, 4096, None, Intensity(0, 4095)),
        (40, 400, None, Intensity(-160, 239)),
        (40, 400, "LINEAR_EXACT", Intensity(-160, 240)),
        ([40, 600], [400, 2000], "LINEAR", Intensity(-160, 239)),
        (100.5, 100.5, None, Intensity(50.25, 149.75)),
    ],
)
def test_windows(tmp_path: Path, centre: Any, width: Any, function: str | None, expected: Intensity) -> None:
    tags = {"WindowCenter": centre, "WindowWidth": width, "VOILUTFunction": function}
    path = dicom(tmp_path / "a.dcm", TWELVE, 12, **tags)
    assert stated(path).by == "window"
    assert stated(path).range == expected
    assert "clipped" not in "".join(decode(path, LIMIT, Reading(expected)).remarks), "that is what a window does"


def test_what_is_no_window(tmp_path: Path) -> None:
    window = {"WindowCenter": 40, "WindowWidth": 400}
    assert "sigmoid" in stated(dicom(tmp_path / "a.dcm", TWELVE, 12, VOILUTFunction="SIGMOID", **window)).by
    assert "width" in stated(dicom(tmp_path / "b.dcm", TWELVE, 12, WindowCenter=40, WindowWidth=0)).by
    table = Dataset()
    table.LUTDescriptor = [2, 0, 8]
    table.add_new("LUTData", "US", [0, 255])
    assert "lookup table" in stated(dicom(tmp_path / "c.dcm", TWELVE, 12, VOILUTSequence=[table])).by


def test_8_bits_are_taken_as_they_are_unless_a_window_says_otherwise(tmp_path: Path) -> None:
    values = np.array([[0, 7, 100, 255]], dtype=np.uint8)
    assert grey(dicom(tmp_path / "a.dcm", values)) == [0, 7, 100, 255]
    assert grey(dicom(tmp_path / "b.dcm", values, PhotometricInterpretation="MONOCHROME1")) == [255, 248, 155, 0]
    assert grey(dicom(tmp_path / "c.dcm", values), by(0, 200)) == [0, 9, 128, 255]
    assert stated(dicom(tmp_path / "d.dcm", values, WindowCenter=64, WindowWidth=128)).range == Intensity(0, 127)


def test_colour_is_taken_as_it_is(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    assert np.array_equal(read_rgb(dicom(tmp_path / "a.dcm", values), LIMIT), values)
    planes = np.ascontiguousarray(values.transpose(2, 0, 1)).reshape(6, 8, 3)
    assert np.array_equal(read_rgb(dicom(tmp_path / "b.dcm", planes, PlanarConfiguration=1), LIMIT), values)
    converted = np.asarray(Image.fromarray(values).convert("YCbCr"))
    found = read_rgb(dicom(tmp_path / "c.dcm", converted, PhotometricInterpretation="YBR_FULL"), LIMIT)
    assert np.abs(found.astype(int) - values).max() <= 3
    deep = dicom(tmp_path / "d.dcm", values.astype(np.uint16))
    assert refusal(deep).startswith("16-bit colour: ")


def test_palettes_are_looked_up(tmp_path: Path) -> None:
    tags: dict[str, Any] = {"PhotometricInterpretation": "PALETTE COLOR"}
    for name, shift in (("Red", 0), ("Green", 1), ("Blue", 2)):
        tags[f"{name}PaletteColorLookupTableDescriptor"] = [4, 0, 16]
        entries = (np.array([0, 100, 200, 255], np.uint16) * 257 >> shift).astype("<u2")
        tags[f"{name}PaletteColorLookupTableData"] = entries.tobytes()
    path = dicom(tmp_path / "a.dcm", np.array([[0, 1, 2, 3]], np.uint8), **tags)
    assert read_rgb(path, LIMIT)[0].tolist() == [[0, 0, 0], [100, 50, 25], [200, 100, 50], [255, 127, 64]]


def test_jpeg_and_run_lengths(tmp_path: Path) -> None:
    smooth = np.add.outer(np.arange(32), np.arange(32)).astype(np.uint8) * 3
    target = io.BytesIO()
    Image.fromarray(smooth).save(target, "JPEG", quality=95)
    path = encoded(tmp_path / "jpeg.dcm", [target.getvalue()], JPEGBaseline8Bit, smooth)
    assert np.abs(read_rgb(path, LIMIT)[..., 0].astype(int) - smooth).max() < 12
    deep = smooth.astype(np.uint16) * 16
    target = io.BytesIO()
    Image.fromarray(deep).save(target, "JPEG2000", no_jp2=True, irreversible=False)
    path = encoded(tmp_path / "j2k.dcm", [target.getvalue()], JPEG2000Lossless, deep, stored=16)
    assert np.array_equal(read_rgb(path, LIMIT, by(0, 16 * 255))[..., 0], smooth)
    from pydicom import dcmread

    dataset = dcmread(dicom(tmp_path / "rle.dcm", deep, 12))
    dataset.compress(RLELossless)
    dataset.save_as(tmp_path / "rle.dcm")
    assert np.array_equal(read_rgb(tmp_path / "rle.dcm", LIMIT, by(0, 16 * 255))[..., 0], smooth)


@pytest.mark.parametrize("syntax", [JPEGLosslessSV1, "1.2.840.10008.1.2.4.80", DeflatedExplicitVRLittleEndian])
def test_other_transfer_syntaxes_are_refused_by_name(tmp_path: Path, syntax: str) -> None:
    path = dicom(tmp_path / "a.dcm", TWELVE, 12)
    content = path.read_bytes()
    old = b"1.2.840.10008.1.2.1\x00"
    path.write_bytes(content.replace(b"UI" + len(old).to_bytes(2, "little") + old, _uid(syntax), 1))
    reason = refusal(path)
    assert reason.startswith("transfer syntax: ")
    assert ("JPEG" in reason) or ("Deflated" in reason)
    assert reason.endswith("is not supported; convert it: gdcmconv --raw IN.dcm OUT.dcm")


def _uid(text: str) -> bytes:
    padded = text.encode() + b"\x00" * (len(text) % 2)
    return b"UI" + len(padded).to_bytes(2, "little") + padded


def test_jpeg_of_12_bits_is_refused(tmp_path: Path) -> None:
    path = encoded(tmp_path / "a.dcm", [b"\xff\xd8\xff\xd9"], JPEGExtended12Bit, TWELVE, stored=12)
    assert refusal(path).startswith("transfer syntax: 12-bit JPEG is not supported; convert it: gdcmconv --raw")


def test_frames_are_pages(tmp_path: Path) -> None:
    frames = np.array([[[0, 10]], [[40, 20]], [[80, 60]]], dtype=np.uint16)
    path = dicom(tmp_path / "a.dcm", frames, 8, NumberOfFrames=3)
    assert refusal(path).startswith(
        "several pages: 3 frames, expected one image; a search takes one of them with --page 1"
    )
    found = {page: grey(path, by(0, 255, page=page)) for page in ("1", "3", "max", "mean", "min")}
    assert found == {"1": [0, 10], "3": [80, 60], "max": [80, 60], "mean": [40, 30], "min": [0, 10]}
    assert refusal(path, by(0, 255, page="4")) == "page: expected frame 4, found 3 frames"


def test_frames_have_transformations_and_windows_of_their_own(tmp_path: Path) -> None:
    frames = np.full((2, 1, 2), 100, dtype=np.uint16)
    per_frame = []
    for slope, centre in ((1, 128), (2, 64)):
        group, values, window = Dataset(), Dataset(), Dataset()
        values.RescaleSlope, values.RescaleIntercept, values.RescaleType = slope, 0, "US"
        window.WindowCenter, window.WindowWidth = centre, 256
        group.PixelValueTransformationSequence, group.FrameVOILUTSequence = [values], [window]
        per_frame.append(group)
    path = dicom(tmp_path / "a.dcm", frames, 12, NumberOfFrames=2, PerFrameFunctionalGroupsSequence=per_frame)
    assert grey(path, by(0, 255, page="1")) == [100, 100]
    assert grey(path, by(0, 255, page="2")) == [200, 200]
    assert grey(path, by(0, 255, page="max")) == [200, 200]
    with pytest.raises(NoRangeError) as caught:
        decode(path, LIMIT, Reading(page="max"))
    assert caught.value.samples.stated is not None
    assert caught.value.samples.stated.by == "ranges that differ between frames"


def test_size_is_checked_before_anything_is_decoded(tmp_path: Path) -> None:
    path = dicom(tmp_path / "a.dcm", TWELVE, 12, Rows=60_000, Columns=60_000)
    assert refusal(path) == "too many pixels: 60000 x 60000, the limit is 1,000,000"
    path = dicom(tmp_path / "b.dcm", TWELVE, 12, NumberOfFrames=2**31 - 1)
    assert refusal(path, Reading(page="max")).startswith("too many pixels: 2147483647 pages of 4 x 1")


def test_what_is_no_image(tmp_path: Path) -> None:
    assert "a report or a plan" in refusal(dicom(tmp_path / "a.dcm", TWELVE, 12, Rows=None, Columns=None))
    assert refusal(dicom(tmp_path / "b.dcm", TWELVE, 12, PhotometricInterpretation="HSV")).startswith(
        "unknown colours: "
    )
    assert refusal(dicom(tmp_path / "c.dcm", TWELVE, 12, HighBit=14)).startswith("bits stored: 12 of 16")
    (tmp_path / "d.dcm").write_text("text")
    assert refusal(tmp_path / "d.dcm").startswith("not an image: named DICOM")
    (tmp_path / "e.dcm").write_bytes(bytes(128) + b"DICM" + bytes(100))
    assert refusal(tmp_path / "e.dcm").startswith(("transfer syntax", "cannot be decoded"))
    torn = dicom(tmp_path / "f.dcm", np.zeros((64, 64), np.uint16), 12)
    torn.write_bytes(torn.read_bytes()[:-3000])
    assert refusal(torn, by(0, 4095)).startswith("cannot be decoded: ")


def test_names_of_dicom(tmp_path: Path) -> None:
    for name in ("a.dcm", "a.DICOM", "a.ima", "IM0001", "1.2.840.113619.2.55.3"):
        assert is_image(dicom(tmp_path / name, TWELVE, 12))
    for name in ("DICOMDIR", "notes", "labels.csv"):
        (tmp_path / name).write_bytes(bytes(128) + (b"DICM" if name == "DICOMDIR" else b"text"))
        assert not is_image(tmp_path / name)


def test_a_missing_pydicom_is_said_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = dicom(tmp_path / "a.dcm", TWELVE, 12)
    monkeypatch.setitem(sys.modules, "pydicom", None)
    assert refusal(path) == "not read: a DICOM file, which needs pydicom: pip install pydicom"


def test_bytes_flipped_anywhere_give_pixels_or_a_refusal(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    frames = np.zeros((2, 16, 16), np.uint16)
    for number, tags in enumerate(({}, {"NumberOfFrames": 2, "WindowCenter": 4, "WindowWidth": 9, "RescaleSlope": 1})):
        original = np.frombuffer(
            dicom(tmp_path / f"{number}.dcm", frames[0] if not tags else frames, 12, **tags).read_bytes(), np.uint8
        )
        for _ in range(150):
            damaged = original.copy()
            damaged[generator.integers(128, len(damaged) - 500, 3)] = generator.integers(0, 256, 3)
            (tmp_path / "a").write_bytes(damaged.tobytes())
            for reading in (by(0, 9), by(0, 9, page="max")):
                with contextlib.suppress(RefusedImageError):
                    assert read_rgb(tmp_path / "a", 10_000, reading).shape[2] == 3


def test_nothing_of_the_patient_is_in_a_refusal(tmp_path: Path) -> None:
    generator = np.random.default_rng(1)
    original = np.frombuffer(dicom(tmp_path / "a.dcm", TWELVE, 12).read_bytes(), np.uint8)
    for place in range(128, len(original)):
        damaged = original.copy()
        damaged[place] = generator.integers(0, 256)
        (tmp_path / "b.dcm").write_bytes(damaged.tobytes())
        said = ""
        try:
            said = str(decode(tmp_path / "b.dcm", LIMIT).remarks)
        except RefusedImageError as error:
            said = error.reason
        assert not any(secret in said for secret in SECRETS)


# --- the range of a study ---------------------------------------------------------------------------------------------


def study(folder: Path, count: int = 4, odd: dict[str, Any] | None = None, stored: int = 12, **tags: Any) -> Path:
    """Class folders of `count` patients each; the last image of b has the tags `odd` over the others'."""
    for index, label in enumerate("ab"):
        for number in range(count):
            values = np.random.default_rng([index, number]).integers(500, 3000, (12, 12)).astype(np.uint16)
            own = {**tags, **(odd if odd and label == "b" and number == count - 1 else {})}
            dicom(folder / label / f"p{number}_{index}.dcm", values, **{"stored": stored, **own})
    return folder


def load(folder: Path, intensity: Intensity | None = None) -> Images:
    return load_dataset(folder, DatasetOptions(group_by=r"(p\d)_", reading=Reading(intensity)))


def test_the_window_of_all_is_the_range(tmp_path: Path) -> None:
    images = load(study(tmp_path, WindowCenter=1500.5, WindowWidth=2001))
    assert reading_of(images.manifest) == by(500, 2500)
    assert str(images.odd[0]) == (
        "8 images of 8: values 500:2500 are scaled to 0:255, the window that the files state. Another range: "
        "--intensity LOW:HIGH"
    )
    assert len(images.odd) == 1, "what a window cuts off is not told"


def test_without_windows_the_bits_stored_are_the_range(tmp_path: Path) -> None:
    images = load(study(tmp_path, RescaleSlope=1, RescaleIntercept=-1024))
    assert reading_of(images.manifest) == by(-1024, 3071)
    assert "what the bits stored in the files can hold" in str(images.odd[0])


@pytest.mark.parametrize(
    ("tags", "odd", "said"),
    [
        (
            {"WindowCenter": 1500.5, "WindowWidth": 2001},
            {"WindowWidth": 1001},
            "8 images of DICOM state different ranges: windows 7 × 500:2500, 1 × 1000:2000; give one range for all, "
            "for instance --intensity 500:2500",
        ),
        (
            {"WindowCenter": 1500.5, "WindowWidth": 2001},
            {"WindowCenter": None, "WindowWidth": None},
            "windows 7 × 500:2500; no window, but stored bits for 1 × 0:4095; give one range",
        ),
        ({}, {"stored": 16}, "no window, but stored bits for 7 × 0:4095, 1 × 0:65535; give"),
        (
            {"WindowCenter": 1500.5, "WindowWidth": 2001},
            {"VOILUTFunction": "SIGMOID"},
            r"1 image ('b/p3_1.dcm') state a window that is not linear (sigmoid), which is not a range; give one "
            "range for all, for instance --intensity 500:2500",
        ),
    ],
)
def test_files_that_do_not_agree_are_asked_about(tmp_path: Path, tags: Any, odd: Any, said: str) -> None:
    study(tmp_path, odd=odd, **tags)
    with pytest.raises(InputError) as caught:
        load(tmp_path)
    assert said in str(caught.value)
    assert reading_of(load(tmp_path, Intensity(0, 3000)).manifest) == by(0, 3000)


def test_8_bits_without_a_window_beside_others_are_asked_about(tmp_path: Path) -> None:
    study(tmp_path, WindowCenter=1500.5, WindowWidth=2001)
    dicom(tmp_path / "b" / "p4_1.dcm", np.full((12, 12), 9, np.uint8))
    with pytest.raises(InputError, match="stored bits for 1 × 0:255"):
        load(tmp_path)


def test_dicom_beside_deep_pngs_is_asked_about_where_they_differ(tmp_path: Path) -> None:
    study(tmp_path)
    values = np.full((12, 12), 3000, np.uint16)
    Image.fromarray(values).save(tmp_path / "b" / "p4_1.png")
    assert reading_of(load(tmp_path).manifest) == by(0, 4095)
    Image.fromarray(values * 4).save(tmp_path / "b" / "p4_1.png")
    with pytest.raises(InputError, match=r"8 images of DICOM state 0:4095, but 1 image \('b/p4_1.png'\) hold 0:16383"):
        load(tmp_path)


def test_another_window_than_the_range_is_told(tmp_path: Path) -> None:
    path = dicom(tmp_path / "a.dcm", TWELVE, 12, WindowCenter=1500.5, WindowWidth=2001)
    assert "the file states another window than 0:4095" in decode(path, LIMIT, by(0, 4095)).remarks
    path = dicom(tmp_path / "b.dcm", TWELVE, 12)
    assert decode(path, LIMIT, by(0, 4095)).remarks == ()
    assert "the stored bits cannot hold all of 0:65535" in decode(path, LIMIT, by(0, 65_535)).remarks


def test_a_photometric_interpretation_goes_before_a_presentation_shape(tmp_path: Path) -> None:
    path = dicom(tmp_path / "a.dcm", TWELVE, 12, PresentationLUTShape="INVERSE")
    assert grey(path, by(0, 4095)) == [0, 62, 128, 255]
    assert decode(path, LIMIT, by(0, 4095)).remarks == (
        "MONOCHROME2 beside presentation LUT shape INVERSE: read as MONOCHROME2",
    )
    usual = {"PhotometricInterpretation": "MONOCHROME1", "PresentationLUTShape": "INVERSE"}
    assert decode(dicom(tmp_path / "b.dcm", TWELVE, 12, **usual), LIMIT, by(0, 4095)).remarks == ()


def test_values_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    path = dicom(tmp_path / "a.dcm", TWELVE, 12, RescaleSlope=1, RescaleIntercept=0)
    content = path.read_bytes()
    assert content.count(b"DS\x04\x001.0 ") == 1
    path.write_bytes(content.replace(b"DS\x04\x001.0 ", b"DS\x04\x00none"))
    assert refusal(path, by(0, 4095)).startswith(("rescale: ", "cannot be decoded: "))
    assert math.isfinite(decode(dicom(path, TWELVE, 12), LIMIT, by(0, 9)).clipped)
