"""Files of every kind that users have, to RGB or to a reason."""

from __future__ import annotations

import contextlib
import io
import struct
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from PIL import Image, ImageOps

from tests.support.odd_images import png_by_hand, rgb16_png, tiff_by_hand
from trainables.data.decode import (
    FILL,
    Fit,
    Interpolation,
    content_hash,
    decode,
    is_image,
    read_rgb,
    to_square,
)
from trainables.data.reading import Intensity, Reading, RefusedImageError
from trainables.data.shades import NoRangeError, Samples

LIMIT = 1_000_000


def pattern(height: int = 5, width: int = 7) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (height, width, 3), dtype=np.uint8)


def refusal(path: Path, limit: int = LIMIT) -> str:
    with pytest.raises(RefusedImageError) as caught:
        read_rgb(path, limit)
    return caught.value.reason


@pytest.mark.parametrize("suffix", ["png", "tif", "bmp"])
def test_lossless_formats_give_the_pixels_back(tmp_path: Path, suffix: str) -> None:
    Image.fromarray(pattern()).save(tmp_path / f"a.{suffix}")
    pixels = read_rgb(tmp_path / f"a.{suffix}", LIMIT)
    assert pixels.dtype == np.uint8
    assert np.array_equal(pixels, pattern())


def test_content_decides_and_not_the_name(tmp_path: Path) -> None:
    Image.fromarray(pattern()).save(tmp_path / "a.png")
    (tmp_path / "a.png").rename(tmp_path / "a.jpg")
    assert np.array_equal(read_rgb(tmp_path / "a.jpg", LIMIT), pattern())


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif"])
def test_exif_rotation_is_applied_once(tmp_path: Path, suffix: str) -> None:
    exif = Image.Exif()
    exif[274] = 6  # to be turned by 90 degrees clockwise for display
    image = Image.new("RGB", (40, 20), "black")
    image.paste("white", (0, 0, 40, 10))
    image.save(tmp_path / f"a.{suffix}", exif=exif)
    pixels = read_rgb(tmp_path / f"a.{suffix}", LIMIT)
    assert pixels.shape == (40, 20, 3)
    assert pixels[:, 12:].min() > 200
    assert pixels[:, :8].max() < 50


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_16_bit_is_scaled_by_the_range_it_is_read_with(tmp_path: Path, suffix: str) -> None:
    values = np.array([[0, 257, 4095, 20_000, 32_768, 65_535]], dtype=np.uint16)
    Image.fromarray(values).save(tmp_path / f"a.{suffix}")
    full = decode(tmp_path / f"a.{suffix}", LIMIT, Reading(Intensity(0, 65_535)))
    assert full.pixels[0, :, 0].tolist() == [0, 1, 16, 78, 128, 255]
    assert (full.reading.intensity, full.clipped) == (Intensity(0, 65_535), 0.0)
    part = decode(tmp_path / f"a.{suffix}", LIMIT, Reading(Intensity(257, 4095)))
    assert part.pixels[0, :, 1].tolist() == [0, 0, 255, 255, 255, 255]
    assert part.clipped == pytest.approx(4 / 6)
    assert part.remarks == ("values outside 257:4095 are clipped",)


@pytest.mark.parametrize("white", [255, 1023, 4095, 16_383, 65_535])
def test_scaling_is_exact_for_every_value(tmp_path: Path, white: int) -> None:
    values = np.arange(white + 1, dtype=np.uint16).reshape(-1, 256)
    Image.fromarray(values).save(tmp_path / "a.png")
    expected = (values.astype(np.int64) * 255 + white // 2) // white
    assert np.array_equal(read_rgb(tmp_path / "a.png", LIMIT, Reading(Intensity(0, white)))[:, :, 2], expected)


def test_more_than_8_bits_need_a_range(tmp_path: Path) -> None:
    Image.fromarray(np.array([[7, 2048]], dtype=np.uint16)).save(tmp_path / "a.tif", tiffinfo={281: 4095})
    with pytest.raises(NoRangeError, match="values from 7 to 2048, and nothing says which value is black") as caught:
        decode(tmp_path / "a.tif", LIMIT)
    assert caught.value.samples == Samples(7, 2048, 4095, whole=True)


@pytest.mark.parametrize(("declared", "refused"), [(65_535, False), (16_383, False), (4095, True), (3000, False)])
def test_a_file_whose_values_end_below_the_range_is_refused(tmp_path: Path, declared: int, refused: bool) -> None:
    """3000 is no end of a range of bits: cameras write the brightest value that occurred."""
    Image.fromarray(np.array([[0, 2048]], dtype=np.uint16)).save(tmp_path / "a.tif", tiffinfo={281: declared})
    if not refused:
        assert read_rgb(tmp_path / "a.tif", LIMIT, Reading(Intensity(0, 16_383)))[0, 1, 0] == 32
        return
    with pytest.raises(RefusedImageError, match="another range: the file declares 4095 as its largest value"):
        read_rgb(tmp_path / "a.tif", LIMIT, Reading(Intensity(0, 16_383)))


def test_16_bit_with_white_as_zero_is_inverted(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 65_535]], dtype=np.uint16)).save(tmp_path / "a.tif", tiffinfo={262: 0})
    assert read_rgb(tmp_path / "a.tif", LIMIT, Reading(Intensity(0, 65_535)))[0, :, 0].tolist() == [255, 0]


def test_floating_point_and_32_bits_are_scaled_by_a_range(tmp_path: Path) -> None:
    Image.fromarray(np.array([[-0.5, 0, 0.5, 1, 2]], np.float32)).save(tmp_path / "float.tif")
    decoded = decode(tmp_path / "float.tif", LIMIT, Reading(Intensity(0, 1)))
    assert decoded.pixels[0, :, 0].tolist() == [0, 0, 128, 255, 255]
    assert decoded.clipped == pytest.approx(0.4)
    Image.fromarray(np.array([[-1000, 0, 1000]], np.int32)).save(tmp_path / "signed.tif")
    assert read_rgb(tmp_path / "signed.tif", LIMIT, Reading(Intensity(-1000, 1000)))[0, :, 0].tolist() == [0, 128, 255]
    tiff_by_hand(tmp_path / "large.tif", np.array([[0, 2**31, 2**32 - 1]], np.uint32))
    assert read_rgb(tmp_path / "large.tif", LIMIT, Reading(Intensity(0, 2**32 - 1)))[0, :, 0].tolist() == [0, 128, 255]
    Image.fromarray(np.array([[0, np.nan]], np.float32)).save(tmp_path / "nan.tif")
    assert refusal(tmp_path / "nan.tif").startswith("not numbers: ")


@pytest.mark.parametrize("text", ["5", "5:5", "9:1", "a:b", "0:inf", ":", "nan:1"])
def test_ranges_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"LOW:HIGH|float"):
        Intensity.parse(text)


@pytest.mark.parametrize("text", ["0:4095", "-1000:1000", "0.1:0.25", "1e-05:1"])
def test_ranges_are_written_as_they_are_read(text: str) -> None:
    assert str(Intensity.parse(text)) == text


def test_what_is_nearly_black_or_white_is_remarked(tmp_path: Path) -> None:
    remarks = {}
    for value in (3, 128, 250):
        pixels = np.full((20, 20, 3), value, np.uint8)
        pixels[0, 0] = 128  # a single pixel is no content
        Image.fromarray(pixels).save(tmp_path / "a.png")
        remarks[value] = decode(tmp_path / "a.png", LIMIT).remarks
    assert remarks == {3: ("nearly black",), 128: (), 250: ("nearly white",)}


def test_16_bit_colour_is_scaled_or_refused_when_it_would_be_black(tmp_path: Path) -> None:
    values = np.array([[[0, 32_768, 65_535]]], dtype=np.uint16)
    rgb16_png(tmp_path / "a.png", values)
    assert read_rgb(tmp_path / "a.png", LIMIT)[0, 0].tolist() == [0, 128, 255]
    rgb16_png(tmp_path / "b.png", values // 16)
    assert "12-bit colour" in refusal(tmp_path / "b.png")
    with pytest.raises(RefusedImageError, match="16-bit colour: it can only be read with 0:65535, not with 0:4095"):
        read_rgb(tmp_path / "a.png", LIMIT, Reading(Intensity(0, 4095)))


def test_files_without_a_suffix_are_images_by_their_first_bytes(tmp_path: Path) -> None:
    for suffix in ("PNG", "JPEG", "TIFF", "BMP", "WEBP", "GIF"):
        Image.fromarray(pattern()).save(tmp_path / suffix, suffix)
        assert is_image(tmp_path / suffix)
    Image.fromarray(pattern()).save(tmp_path / "old.png_old", "PNG")
    (tmp_path / "LICENSE").write_text("Permission is granted")
    (tmp_path / "empty").touch()
    (tmp_path / "folder").mkdir()
    assert not any(is_image(tmp_path / name) for name in ("old.png_old", "LICENSE", "empty", "folder", "gone"))
    assert (decode(tmp_path / "PNG", LIMIT).pixels == pattern()).all()


def test_signed_samples_of_8_bits_are_refused(tmp_path: Path) -> None:
    place = tmp_path / "signed.tif"
    tiff_by_hand(place, pattern()[..., 0])
    read = decode(place, LIMIT).pixels
    place.write_bytes(
        place.read_bytes().replace(struct.pack("<HHIHH", 339, 3, 1, 1, 0), struct.pack("<HHIHH", 339, 3, 1, 2, 0))
    )
    assert read.any()
    assert refusal(place) == "signed samples: 8-bit ones are not supported; save it with 16 bits"


def test_samples_that_a_tiff_does_not_explain_are_told(tmp_path: Path) -> None:
    place = tmp_path / "four.tif"
    Image.fromarray(pattern()).convert("RGBX").save(place)
    read = decode(place, LIMIT)
    assert (read.pixels == pattern()).all()
    assert read.told == ("4 samples per pixel, and the file does not say what each one is: only colour is read",)
    Image.fromarray(pattern()).save(place)
    assert not decode(place, LIMIT).told


def test_palette_one_bit_cmyk_and_transparency(tmp_path: Path) -> None:
    red = Image.new("RGB", (4, 4), (255, 0, 0))
    red.quantize(4).save(tmp_path / "palette.png")
    Image.new("1", (4, 4), 1).save(tmp_path / "bit.tif")
    Image.new("CMYK", (4, 4), (0, 255, 255, 0)).save(tmp_path / "cmyk.tif")
    Image.new("RGBA", (4, 4), (255, 0, 0, 128)).save(tmp_path / "alpha.png")
    Image.fromarray(np.array([[7, 80]], np.uint8)).save(tmp_path / "key.png", transparency=7)
    first = {path.stem: read_rgb(path, LIMIT)[0, 0].tolist() for path in tmp_path.iterdir()}
    assert first == {
        "palette": [255, 0, 0],
        "bit": [255, 255, 255],
        "cmyk": [255, 0, 0],
        "alpha": [255, 127, 127],
        "key": [255, 255, 255],
    }


def test_what_alpha_hides_whole_is_refused(tmp_path: Path) -> None:
    """Some programs write 0 where they mean no alpha: laid over white, all such images would be the same."""
    Image.new("RGBA", (4, 4), (255, 0, 0, 0)).save(tmp_path / "alpha.png")
    Image.new("LA", (4, 4), (9, 0)).save(tmp_path / "grey.png")
    Image.new("L", (4, 4), 7).save(tmp_path / "key.png", transparency=7)
    Image.fromarray(np.full((4, 4), 700, np.uint16)).save(tmp_path / "deep.png", transparency=700)
    for path in tmp_path.iterdir():
        with pytest.raises(RefusedImageError, match="fully transparent: its alpha hides every pixel"):
            read_rgb(path, LIMIT, Reading(Intensity(0, 4095)))
    Image.fromarray(np.array([[700, 4095, 0]], np.uint16)).save(tmp_path / "part.png", transparency=700)
    assert read_rgb(tmp_path / "part.png", LIMIT, Reading(Intensity(0, 4095)))[0, :, 0].tolist() == [255, 255, 0]


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "bmp"])
def test_half_a_file_is_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(pattern(200, 200)).save(path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    assert refusal(path).startswith("cannot be decoded: ")


def test_too_many_pixels_are_refused_from_the_header(tmp_path: Path) -> None:
    png_by_hand(tmp_path / "bomb.png", 30_000, 30_000, 8, b"")
    assert refusal(tmp_path / "bomb.png", 100_000_000) == "too many pixels: 30000 x 30000, the limit is 100,000,000"


def test_other_refusals_say_why(tmp_path: Path) -> None:
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "text.png").write_text("not an image at all")
    Image.fromarray(np.ones((3, 3), np.float32)).save(tmp_path / "float.tif")
    Image.fromarray(np.ones((3, 3), np.int32)).save(tmp_path / "int.tif")
    pages = [Image.new("L", (3, 3), value) for value in (1, 90, 200)]
    pages[0].save(tmp_path / "pages.tif", save_all=True, append_images=pages[1:])
    pages[0].save(tmp_path / "frames.png", save_all=True, append_images=pages[1:])
    pages[0].save(tmp_path / "frames.gif", save_all=True, append_images=pages[1:])
    pages[0].save(tmp_path / "frames.webp", save_all=True, append_images=pages[1:])
    Image.new("LAB", (3, 3)).save(tmp_path / "lab.tif")
    (tmp_path / "header.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"\x00" * 30)
    reasons = {path.name: refusal(path) for path in tmp_path.iterdir()}
    assert reasons["empty.png"] == "empty file"
    assert reasons["text.png"].startswith("not an image: ")
    assert reasons["float.tif"].startswith("range unknown: more than 8 bits, values from 1 to 1")
    assert reasons["int.tif"].startswith("range unknown: ")
    assert reasons["lab.tif"] == "unknown colours: mode LAB; save it as RGB"
    assert reasons["frames.gif"].startswith("animated GIF: 3 frames")
    assert reasons["frames.webp"].startswith("animated WEBP: 3 frames")
    assert reasons["pages.tif"].startswith("several pages: 3 ")
    assert reasons["frames.png"].startswith("animated PNG: 3 frames")
    assert reasons["header.png"].startswith("cannot be decoded: ")
    assert refusal(tmp_path / "gone.png") == "cannot be read: No such file or directory"


def test_webp_is_read_and_a_moving_one_refused(tmp_path: Path) -> None:
    pixels = pattern(24, 40)
    Image.fromarray(pixels).save(tmp_path / "a.webp", lossless=True)
    assert np.array_equal(read_rgb(tmp_path / "a.webp", 10_000), pixels)
    layered = np.full((8, 8, 4), (255, 0, 0, 0), np.uint8)
    layered[0, 0] = 255
    Image.fromarray(layered).save(tmp_path / "clear.webp", lossless=True)
    assert read_rgb(tmp_path / "clear.webp", 100).min() == 255, "transparency is laid over white"
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.fromarray(pixels).save(tmp_path / "turned.webp", lossless=True, exif=turned)
    assert np.array_equal(read_rgb(tmp_path / "turned.webp", 10_000), np.rot90(pixels, -1))
    pages = [Image.fromarray(np.roll(pixels, shift, 0)) for shift in range(3)]
    pages[0].save(tmp_path / "moving.webp", save_all=True, append_images=pages[1:])
    assert refusal(tmp_path / "moving.webp").startswith("animated WEBP: 3 frames")
    assert refusal(tmp_path / "a.webp", 100).startswith("too many pixels: 40 x 24")
    (tmp_path / "sound.webp").write_bytes(b"RIFF\x24\x00\x00\x00WAVE" + bytes(40))
    assert refusal(tmp_path / "sound.webp").startswith("not an image: ")
    torn = (tmp_path / "a.webp").read_bytes()
    (tmp_path / "torn.webp").write_bytes(torn[: len(torn) // 2])
    assert refusal(tmp_path / "torn.webp").startswith("cannot be decoded: ")


@pytest.mark.parametrize(
    ("name", "way"),
    [
        ("a.HEIC", "save it as JPEG or PNG"),
        ("a.svs", "make the slide or patient the group"),
        ("a.ndpi", "cut it into tiles"),
        ("a.mrxs", "cut it into tiles"),
        ("a.scn", "cut it into tiles"),
        ("a.vms", "cut it into tiles"),
        ("a.bif", "cut it into tiles"),
        ("a.mp4", "save frames as PNG"),
        ("a.nii.gz", "save slices as PNG"),
        ("a.mha", "save slices as PNG"),
        ("a.czi", "Bio-Formats"),
    ],
)
def test_other_formats_are_refused_by_name_with_a_way_to_go_on(tmp_path: Path, name: str, way: str) -> None:
    Image.fromarray(pattern(8, 8)).save(tmp_path / "a.tif")
    (tmp_path / "a.tif").rename(tmp_path / name)
    assert refusal(tmp_path / name).startswith("not read: ")
    assert way in refusal(tmp_path / name)


def test_bytes_flipped_anywhere_give_pixels_or_a_refusal(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    for suffix in ("png", "jpg", "tif", "bmp", "webp"):
        target = io.BytesIO()
        Image.fromarray(pattern(16, 16)).save(target, {"jpg": "JPEG", "tif": "TIFF"}.get(suffix, suffix.upper()))
        original = np.frombuffer(target.getvalue(), np.uint8)
        for _ in range(60):
            damaged = original.copy()
            damaged[generator.integers(0, min(len(damaged), 200), 3)] = generator.integers(0, 256, 3)
            (tmp_path / "a").write_bytes(damaged.tobytes())
            with contextlib.suppress(RefusedImageError):
                assert read_rgb(tmp_path / "a", 10_000).shape[2] == 3


def test_to_square_cuts_the_centre() -> None:
    wide = np.zeros((20, 60, 3), np.uint8)
    wide[:, 20:40] = 200
    for interpolation in ("bilinear", "bicubic", "lanczos"):
        small = to_square(wide, 10, interpolation, "crop")  # type: ignore[arg-type]
        assert small.shape == (10, 10, 3)
        assert small[:, 2:8].min() >= 199
    assert np.array_equal(to_square(wide[:, 20:40], 20, "bicubic", "crop"), wide[:, 20:40])
    assert to_square(np.zeros((1, 20_000, 3), np.uint8), 16, "bilinear", "crop").shape == (16, 16, 3)
    mirrored = to_square(pattern(31, 50)[:, ::-1], 12, "bilinear", "crop")
    assert np.array_equal(mirrored, to_square(pattern(31, 50), 12, "bilinear", "crop")[:, ::-1])


@pytest.mark.parametrize("upright", [False, True])
def test_padding_and_squashing_keep_the_whole_image(upright: bool) -> None:
    """Ends of their own colour, which a centre crop does not see."""
    wide = np.full((20, 60, 3), 200, np.uint8)
    wide[:, :10], wide[:, -10:] = 0, 255
    wide = wide.transpose(1, 0, 2) if upright else wide
    cropped, padded, squashed = (to_square(wide, 30, "bilinear", fit) for fit in ("crop", "pad", "squash"))
    if upright:
        cropped, padded, squashed = (one.transpose(1, 0, 2) for one in (cropped, padded, squashed))
    assert set(np.unique(cropped)) == {200}
    assert np.array_equal(padded[:10], np.broadcast_to(np.array(FILL, np.uint8), (10, 30, 3)))
    assert np.array_equal(padded[20:], padded[:10])
    for row in (padded[15, :, 0], squashed[0, :, 0], squashed[29, :, 0]):
        assert row[:4].tolist() == [0] * 4
        assert row[6:24].tolist() == [200] * 18
        assert row[-4:].tolist() == [255] * 4


@pytest.mark.parametrize("shape", [(31, 50), (50, 31), (33, 33), (16, 16)])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "lanczos"])
def test_squares_are_those_of_pillow(shape: tuple[int, int], interpolation: Interpolation) -> None:
    image, how = Image.fromarray(pattern(*shape)), Image.Resampling[interpolation.upper()]
    expected = {
        "crop": ImageOps.fit(image, (16, 16), how),
        "pad": ImageOps.pad(image, (16, 16), how, FILL),
        "squash": image.resize((16, 16), how),
    }
    found = {fit: to_square(pattern(*shape), 16, interpolation, fit) for fit in get_args(Fit)}
    assert all(np.array_equal(found[fit], np.asarray(one)) for fit, one in expected.items())
    is_square = shape[0] == shape[1]
    assert is_square == np.array_equal(found["crop"], found["pad"]) == np.array_equal(found["crop"], found["squash"])


def test_content_hash_covers_shape_and_pixels() -> None:
    pixels = pattern(4, 6)
    assert content_hash(pixels) == content_hash(pixels[::-1][::-1])
    assert content_hash(pixels) != content_hash(pixels.reshape(6, 4, 3))
    other = pixels.copy()
    other[0, 0, 0] ^= 1
    assert content_hash(pixels) != content_hash(other)
