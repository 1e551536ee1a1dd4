"""Image files of every kind that users have: sorts of samples, of colour, of transparency, of compression, of shape."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from tests.support.dicom_files import dicom
from tests.support.page_files import ome_xml, tiff_pages

HEIGHT, WIDTH = 41, 57


def odd_images(folder: Path) -> list[Path]:
    """Write them all, in colours and shades that every reading and every mistake in it changes."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, image, options in _by_pillow():
        image.save(folder / name, **options)
    deep = (_shades() * 257).astype(np.uint16)
    rgb16_png(folder / "rgb_16.png", (_colours().astype(np.uint16)) * 257)
    interlaced_png(folder / "interlaced.png", _colours())
    tiff_by_hand(folder / "grey_32_unsigned.tif", deep.astype(np.uint32) // 20)
    tiff_by_hand(folder / "grey_16_white_is_zero.tif", deep // 20, photometric=0)
    tiff_by_hand(folder / "grey_8_white_is_zero.tif", _shades().astype(np.uint8), photometric=0)
    tiff_by_hand(folder / "rgb_16.tif", _colours().astype(np.uint16) * 257)
    whole = (folder / "rgb.png").read_bytes()
    (folder / "torn.png").write_bytes(whole[: len(whole) // 2])
    (folder / "text.png").write_text("no image")
    (folder / "slide.svs").write_bytes((folder / "rgb.tif").read_bytes())
    (folder / "scan").write_bytes(bytes(128) + b"DICM" + bytes(100))
    _dicom(folder)
    _pages(folder)
    (folder / "empty.png").write_bytes(b"")
    return sorted(folder.iterdir())


def _dicom(folder: Path) -> None:
    shades = _shades()
    twelve, eight = (shades * 16).astype(np.uint16), shades.astype(np.uint8)
    dicom(folder / "dicom_8.dcm", eight)
    dicom(folder / "dicom_8_inverted.dcm", eight, PhotometricInterpretation="MONOCHROME1")
    dicom(folder / "dicom_8_window.dcm", eight, WindowCenter=100, WindowWidth=50)
    dicom(folder / "dicom_12.dcm", twelve, 12)
    dicom(folder / "dicom_12_inverted.ima", twelve, 12, PhotometricInterpretation="MONOCHROME1")
    dicom(folder / "dicom_12_window", twelve, 12, WindowCenter=2048, WindowWidth=4096)
    dicom(folder / "dicom_12_rescaled.dcm", twelve, 12, RescaleSlope=1.5, RescaleIntercept=-1024)
    dicom(folder / "dicom_16.dcm", (shades * 257).astype(np.uint16))
    dicom(folder / "dicom_16_signed.dcm", (shades * 17 - 2000).astype(np.int16))
    dicom(folder / "dicom_rgb.dcm", _colours())
    dicom(folder / "dicom_frames.dcm", np.stack([twelve, twelve[::-1]]), 12, NumberOfFrames=2)


def _pages(folder: Path) -> None:
    shades = _shades()
    deep = [
        (shades * 16).astype(np.uint16),
        (shades[::-1] * 9).astype(np.uint16),
        (shades[:, ::-1] * 5).astype(np.uint16),
    ]
    tiff_pages(folder / "pages_grey.tif", [shades.astype(np.uint8), shades[::-1].astype(np.uint8)])
    tiff_pages(folder / "pages_16.tif", deep)
    tiff_pages(folder / "channels.ome.tif", deep, ome_xml((3, 1, 1), ["DAPI", "GFP", "Cy5"]))
    tiff_pages(
        folder / "channels_8.ome.tif", [page.astype(np.uint8) for page in deep[:2]], ome_xml((2, 1, 1), ["DAPI", "GFP"])
    )
    tiff_pages(folder / "planes.ome.tif", [*deep[:2], *deep[1:]], ome_xml((2, 2, 1), ["DAPI", "GFP"]))
    tiff_pages(folder / "other_channels.ome.tif", deep[:2], ome_xml((2, 1, 1), ["DAPI", "RFP"]))
    tiff_pages(folder / "one_plane.ome.tif", deep[:1], ome_xml((1, 1, 1), ["DAPI"]))
    tiff_pages(
        folder / "hyperstack.tif", [*deep, deep[0]], "ImageJ=1.54f\nimages=4\nchannels=2\nslices=2\nhyperstack=true\n"
    )


def _by_pillow() -> Iterator[tuple[str, Image.Image, dict[str, object]]]:
    colour, shades = Image.fromarray(_colours()), _shades()
    grey = Image.fromarray(shades.astype(np.uint8))
    alpha = Image.fromarray(np.linspace(0, 255, HEIGHT * WIDTH).reshape(HEIGHT, WIDTH).astype(np.uint8))
    with_alpha, palette = colour.copy(), colour.quantize(16)
    with_alpha.putalpha(alpha)
    exif = Image.Exif()
    for suffix in ("png", "tif", "bmp", "webp"):
        lossless: dict[str, object] = {"lossless": True} if suffix == "webp" else {}
        yield f"rgb.{suffix}", colour, lossless
        yield f"grey.{suffix}", grey, lossless
    yield "rgb.jpg", colour, {"quality": 80}
    yield "progressive.jpg", colour, {"progressive": True}
    yield "grey.jpg", grey, {}
    yield "cmyk.jpg", colour.convert("CMYK"), {}
    yield "cmyk.tif", colour.convert("CMYK"), {}
    yield "ycbcr.tif", colour.convert("YCbCr"), {}
    yield "lab.tif", Image.new("LAB", (WIDTH, HEIGHT), (120, 30, 90)), {}
    yield "palette.png", palette, {}
    yield "palette.bmp", palette, {}
    yield "palette.gif", palette, {}
    yield "palette_one_clear.png", palette, {"transparency": 3}
    yield "palette_half_clear.png", palette, {"transparency": bytes(range(0, 240, 15))}
    yield "palette_clear.gif", palette, {"transparency": 3}
    yield "one_bit.png", grey.convert("1"), {}
    yield "one_bit.tif", grey.convert("1"), {"compression": "group4"}
    yield "two_bits.png", grey.quantize(4), {"bits": 2}
    yield "rgba.png", with_alpha, {}
    yield "rgba.tif", with_alpha, {}
    yield "rgba.webp", with_alpha, {"lossless": True}
    yield "la.png", with_alpha.convert("LA"), {}
    yield "key.png", colour, {"transparency": tuple(int(value) for value in _colours()[0, 0])}
    yield "grey_key.png", grey, {"transparency": int(shades[0, 0])}
    yield "clear.png", Image.new("RGBA", (WIDTH, HEIGHT), (200, 10, 10, 0)), {}
    for orientation in range(2, 9):
        exif[274] = orientation
        yield f"turned_{orientation}.{'jpg' if orientation % 2 else 'png'}", colour, {"exif": exif.tobytes()}
    exif[274] = 6
    yield "turned_16.tif", Image.fromarray(shades.astype(np.uint16) * 16), {"exif": exif.tobytes()}
    twelve, full = Image.fromarray(shades.astype(np.uint16) * 16), Image.fromarray(shades.astype(np.uint16) * 257)
    yield "grey_12.png", twelve, {}
    yield "grey_12.tif", twelve, {"tiffinfo": {281: 4095}}
    yield "grey_16.png", full, {}
    yield "grey_16.tif", full, {"compression": "tiff_lzw"}
    yield "grey_16_key.png", twelve, {"transparency": int(shades[0, 0]) * 16}
    yield "grey_32.tif", Image.fromarray(shades.astype(np.int32) * 17 - 50), {}
    yield "grey_float.tif", Image.fromarray(shades.astype(np.float32) * 16.25), {}
    yield "grey_not_a_number.tif", Image.fromarray(np.where(shades > 90, np.nan, shades).astype(np.float32)), {}
    yield "strips.tif", colour, {"compression": "tiff_deflate", "tiffinfo": {278: 4}}
    yield "lzw.tif", colour, {"compression": "tiff_lzw"}
    yield "long.png", Image.fromarray(np.tile(_colours(), (1, 9, 1))), {}
    yield "high.png", Image.fromarray(np.tile(_colours(), (9, 1, 1))), {}
    yield "tiny.png", colour.resize((1, 1)), {}
    pages: dict[str, object] = {"save_all": True, "append_images": [colour.rotate(180)]}
    for suffix in ("tif", "gif", "png", "webp"):
        yield f"pages.{suffix}", colour, pages


def _colours() -> np.ndarray:
    """uint8 [HEIGHT, WIDTH, 3]."""
    return np.random.default_rng(4).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


def _shades() -> np.ndarray:
    """int64 [HEIGHT, WIDTH], 0–255."""
    return np.random.default_rng(5).integers(0, 256, (HEIGHT, WIDTH))


def png_by_hand(path: Path, width: int, height: int, depth: int, rows: bytes, interlaced: bool = False) -> None:
    """An RGB PNG from its raw rows: Pillow can write neither 16-bit colour nor a header without its pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, depth, 2, 0, 0, interlaced)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)


def interlaced_png(path: Path, values: np.ndarray) -> None:
    """uint8 [H, W, 3] in the seven passes of Adam7."""
    passes = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
    parts = (values[top::down, left::right] for top, left, down, right in passes)
    rows = b"".join(b"\x00" + row.tobytes() for part in parts for row in part)
    png_by_hand(path, values.shape[1], values.shape[0], 8, rows, interlaced=True)


def rgb16_png(path: Path, values: np.ndarray) -> None:
    rows = b"".join(b"\x00" + row.astype(">u2").tobytes() for row in values)
    png_by_hand(path, values.shape[1], values.shape[0], 16, rows)


def tiff_by_hand(path: Path, values: np.ndarray, photometric: int = 1) -> None:
    """A TIFF of unsigned [H, W] or [H, W, 3], in one strip: Pillow writes no unsigned 32 bits and no 16-bit colour."""
    height, width = values.shape[:2]
    channels, bits = (values.shape[2] if values.ndim == 3 else 1), values.dtype.itemsize * 8
    data = values.astype(values.dtype.newbyteorder("<")).tobytes()
    tags = 10
    behind = 8 + 2 + 12 * tags + 4
    entries = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, channels, bits), (259, 3, 1, 1)]
    entries += [(262, 3, 1, 2 if channels == 3 else photometric), (273, 4, 1, behind + 6), (277, 3, 1, channels)]
    entries += [(278, 4, 1, height), (279, 4, 1, len(data)), (339, 3, 1, 1)]
    directory = b"".join(
        struct.pack("<HHI", tag, kind, count)
        + (struct.pack("<I", behind) if count > 1 else struct.pack("<HH" if kind == 3 else "<I", *_padded(kind, value)))
        for tag, kind, count, value in entries
    )
    start = b"II*\x00" + struct.pack("<IH", 8, tags) + directory + struct.pack("<I", 0)
    path.write_bytes(start + struct.pack("<HHH", bits, bits, bits) + data)


def _padded(kind: int, value: int) -> tuple[int, ...]:
    return (value, 0) if kind == 3 else (value,)
