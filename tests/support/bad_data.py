"""Bad images, tables and options about data: each makes something wrong on a user's desk and returns the command."""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from tests.support.dicom_files import dicom
from tests.support.page_files import ome_xml

Make = Callable[[Path], list[str]]
"""Gets the desk, where `data/` holds two classes of images in six groups; returns what is typed after `orch`."""

CASES: dict[str, Make] = {}
GROUPS = ("--group-by", r"(g\d)")


def case(name: str) -> Callable[[Make], Make]:
    def add(make: Make) -> Make:
        assert name not in CASES
        CASES[name] = make
        return make

    return add


def search(desk: Path, *arguments: str | Path, data: Path | None = None) -> list[str]:
    return [
        *("search", "mine", "squeezenet1_1", "--weights", "none", "--data", str(data or desk / "data")),
        *(str(argument) for argument in (arguments or GROUPS)),
    ]


# --- images ----------------------------------------------------------------------------------------------------------


def in_class_c(name: str, content: bytes, case_name: str) -> None:
    """A third class whose only files are three of this content."""

    def make(desk: Path) -> list[str]:
        (desk / "data" / "c").mkdir()
        for group in range(3):
            (desk / "data" / "c" / f"g{group}_{name}").write_bytes(content)
        return search(desk)

    CASES[case_name] = make


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width: int, height: int, rows: bytes = b"") -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def saved(array: Any, form: str, **more: Any) -> bytes:
    target = io.BytesIO()
    image = array if isinstance(array, Image.Image) else Image.fromarray(array)
    image.save(target, form, **more)
    return target.getvalue()


_NOISE = np.random.default_rng(1).integers(0, 255, (40, 40, 3), dtype=np.uint8)
_PAGES = [Image.fromarray(np.roll(_NOISE, shift, 0)) for shift in range(3)]
_WRONG_CRC = bytearray(saved(_NOISE, "PNG"))
_WRONG_CRC[200] ^= 0xFF

_OME = {270: ome_xml((2, 1, 1), ["DAPI", "GFP"]).encode()}

IMAGES = {
    "empty image": ("a.png", b""),
    "text called JPEG": ("a.jpg", b"this is not an image at all"),
    "HTML called PNG": ("a.png", b"<html><script>alert(1)</script></html>"),
    "SVG called PNG": ("a.png", b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>"),
    "zip called TIFF": ("a.tif", b"PK\x03\x04" + bytes(40)),
    "AVIF called PNG": ("a.png", bytes(4) + b"ftypavif" + bytes(40)),
    "JPEG 2000 called JPEG": ("a.jpg", b"\x00\x00\x00\x0cjP  \r\n\x87\n" + bytes(40)),
    "a sound called WebP": ("a.webp", b"RIFF$\x00\x00\x00WAVEfmt " + bytes(40)),
    "half a WebP": ("a.webp", saved(_NOISE, "WEBP")[:700]),
    "an animated WebP": ("a.webp", saved(_PAGES[0], "WEBP", save_all=True, append_images=_PAGES[1:])),
    "an animated GIF called PNG": ("a.png", saved(_PAGES[0], "GIF", save_all=True, append_images=_PAGES[1:])),
    "a whole slide": ("a.svs", saved(_NOISE, "TIFF")),
    "DICOM without a suffix": ("a", bytes(128) + b"DICM" + bytes(100)),
    "half a JPEG": ("a.jpg", saved(_NOISE, "JPEG")[:700]),
    "half a PNG": ("a.png", saved(_NOISE, "PNG")[:2000]),
    "a PNG of 100,000 x 100,000": ("a.png", png(100_000, 100_000)),
    "a PNG of no pixels": ("a.png", png(0, 10)),
    "a PNG without rows": ("a.png", png(40, 40)),
    "a PNG with a wrong checksum": ("a.png", bytes(_WRONG_CRC)),
    "a TIFF of floats": ("a.tif", saved(np.ones((30, 30), np.float32), "TIFF")),
    "a TIFF of 32-bit integers": ("a.tif", saved(np.ones((30, 30), np.int32), "TIFF")),
    "a TIFF of two channels": (
        "a.tif",
        saved(_PAGES[0].convert("L"), "TIFF", save_all=True, append_images=[_PAGES[1].convert("L")], tiffinfo=_OME),
    ),
    "text called DICOM": ("a.dcm", b"this is not an image at all"),
    "a TIFF of three pages": ("a.tif", saved(_PAGES[0], "TIFF", save_all=True, append_images=_PAGES[1:])),
    "an animated PNG": ("a.png", saved(_PAGES[0], "PNG", save_all=True, append_images=_PAGES[1:])),
    "an animated GIF": ("a.gif", saved(_PAGES[0], "GIF", save_all=True, append_images=_PAGES[1:])),
    "an image that alpha hides": ("a.png", saved(np.zeros((9, 9, 4), np.uint8), "PNG")),
    "a TIFF without dimensions": ("a.tif", b"II*\x00" + struct.pack("<IH", 8, 0) + bytes(8)),
    "a BMP that promises 100,000 rows": (
        "a.bmp",
        b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + struct.pack("<IiiHHIIiiII", 40, 100_000, 100_000, 1, 24, *[0] * 6),
    ),
}
for _name, (_file, _content) in IMAGES.items():
    in_class_c(_file, _content, _name)


@case("an empty class folder")
def _(desk: Path) -> list[str]:
    (desk / "data" / "c").mkdir()
    return search(desk, *GROUPS)


@case("a class folder that is a link out of the data")
def _(desk: Path) -> list[str]:
    (desk / "far").mkdir()
    (desk / "data" / "c").symlink_to(desk / "far")
    return search(desk, *GROUPS)


@case("patients above classes")
def _(desk: Path) -> list[str]:
    (desk / "swapped").mkdir()
    for group in range(3):
        for label in "ab":
            (desk / "swapped" / f"patient{group}" / label).mkdir(parents=True)
            (desk / "swapped" / f"patient{group}" / label / "0.png").write_bytes(saved(_NOISE, "PNG"))
    return search(desk, *GROUPS, data=desk / "swapped")


@case("links that lead nowhere")
def _(desk: Path) -> list[str]:
    (desk / "data" / "c").mkdir()
    for group in range(3):
        (desk / "data" / "c" / f"g{group}_a.png").symlink_to(desk / "nowhere.png")
    return search(desk)


@case("links that lead out of the data")
def _(desk: Path) -> list[str]:
    (desk / "data" / "c").mkdir()
    for group in range(3):
        Image.fromarray(np.roll(_NOISE, group, 0)).save(desk / f"secret{group}.png")
        (desk / "data" / "c" / f"g{group}_a.png").symlink_to(desk / f"secret{group}.png")
    return search(desk)


@case("pipes called like images")
def _(desk: Path) -> list[str]:
    (desk / "data" / "c").mkdir()
    for group in range(3):
        os.mkfifo(desk / "data" / "c" / f"g{group}_a.png")
    return search(desk)


@case("one image in two classes")
def _(desk: Path) -> list[str]:
    for group in range(6):
        (desk / "data" / "b" / f"g{group}_9.png").write_bytes((desk / "data" / "a" / f"g{group}_0.png").read_bytes())
    return search(desk)


@case("one class alone")
def _(desk: Path) -> list[str]:
    return search(desk, *GROUPS, data=_moved(desk / "data" / "a", desk / "alone" / "a").parent)


@case("a class named in 300 characters of a table")
def _(desk: Path) -> list[str]:
    return table(desk, "file,label,group", lambda path, number: f"{path},{'x' * 300},{path.stem[:2]}")


@case("images directly in the folder")
def _(desk: Path) -> list[str]:
    return search(desk, data=desk / "data" / "a")


def _moved(source: Path, target: Path) -> Path:
    target.parent.mkdir(parents=True)
    source.rename(target)
    return target


# --- tables ----------------------------------------------------------------------------------------------------------


def table(desk: Path, header: str, row: Callable[[Path, int], str], suffix: str = ".csv") -> list[str]:
    files = sorted((desk / "data").rglob("*.png"))
    lines = [header, *(row(path.relative_to(desk / "data"), number) for number, path in enumerate(files))]
    return as_table(desk, "\n".join(lines).encode(), suffix)


def as_table(desk: Path, content: bytes, suffix: str = ".csv") -> list[str]:
    (desk / "data" / f"labels{suffix}").write_bytes(content)
    return search(desk, "--weights", "none", data=desk / "data" / f"labels{suffix}")


def good_row(path: Path, _: int) -> str:
    return f"{path},{path.parent},{path.stem[:2]}"


TABLES: dict[str, tuple[bytes, str]] = {
    "an empty table": (b"", ".csv"),
    "a table of a header alone": (b"file,label,group\n", ".csv"),
    "a table without the files' column": (b"name_of,label,group\nx,a,g0\n", ".csv"),
    "a table with a short row": (b"file,label,group\na/g0_0.png,a\n", ".csv"),
    "a table with a column twice": (b"file,label,label,group\na/g0_0.png,a,a,g0\n", ".csv"),
    "a table in UTF-16 that is cut short": ("file,label,group\n".encode("utf-16")[:-1], ".csv"),
    "a table in Latin-1": ("file,label,group\nä.png,a,g0\n".encode("latin-1"), ".csv"),
    "a table with a NUL": (b"file,label,group\na/g0\x00_0.png,a,g0\n", ".csv"),
    "a table that climbs out": (b"file,label,group\n../secret.png,a,g0\n", ".csv"),
    "a table with an absolute path": (b"file,label,group\n/etc/hosts,a,g0\n", ".csv"),
    "a table with a file twice": (b"file,label,group\na/g0_0.png,a,g0\na/g0_0.png,a,g0\n", ".csv"),
    "a table with empty cells": (b"file,label,group\na/g0_0.png,,g0\na/g1_0.png,a,\n", ".csv"),
    "a table with words for missing cells": (b"file,label,group\na/g0_0.png,nan,g0\na/g1_0.png,a,N/A\n", ".csv"),
    "a table with groups in two spellings": (b"file,label,group\na/g0_0.png,a,g0\na/g1_0.png,a,G 0\n", ".csv"),
    "a table with two labels in a cell": (b"file,label,group\na/g0_0.png,a;b,g0\na/g1_0.png,a,g1\n", ".csv"),
    "a spreadsheet": (b"PK\x03\x04", ".xlsx"),
    "a table with splits in other words": (
        b"file,label,group,split\na/g0_0.png,a,g0,tr\na/g1_0.png,b,g1,va\na/g2_0.png,b,g2,te\n",
        ".csv",
    ),
    "a table with folds": (b"file,label,group,fold\na/g0_0.png,a,g0,0\na/g1_0.png,b,g1,1\n", ".csv"),
    "a table with an unknown split": (
        b"file,label,group,split\na/g0_0.png,a,g0,train\na/g1_0.png,a,g1,trian\n",
        ".csv",
    ),
    "a quote that never ends": (b'file,label,group\n"a/g0_0.png,a,g0\n' + b"x" * 200_000, ".csv"),
    "text called Parquet": (b"file,label,group\n", ".parquet"),
    "half a Parquet file": (b"PAR1" + bytes(100), ".parquet"),
}


def _table_case(content: bytes, suffix: str) -> Make:
    return lambda desk: as_table(desk, content, suffix)


for _name, (_content, _suffix) in TABLES.items():
    CASES[_name] = _table_case(_content, _suffix)


@case("a Parquet file of lists")
def _(desk: Path) -> list[str]:
    target = io.BytesIO()
    pq.write_table(pa.table({"file": [["a"], ["b"]], "label": ["a", "b"], "group": ["1", "2"]}), target)
    return as_table(desk, target.getvalue(), ".parquet")


@case("a folder called like a table")
def _(desk: Path) -> list[str]:
    (desk / "data" / "labels.csv").mkdir()
    return search(desk, data=desk / "data" / "labels.csv")


@case("a column that is not there")
def _(desk: Path) -> list[str]:
    return [*table(desk, "file,label,group", good_row), "--label-column", "grade"]


# --- options about data ----------------------------------------------------------------------------------------------


@case("a pattern that is none")
def _(desk: Path) -> list[str]:
    return search(desk, "--group-by", "(g[0-9")


@case("a pattern without parentheses")
def _(desk: Path) -> list[str]:
    return search(desk, "--group-by", r"g\d")


@case("a pattern that fits no file")
def _(desk: Path) -> list[str]:
    return search(desk, "--group-by", r"patient(\d+)")


@case("a share above one")
def _(desk: Path) -> list[str]:
    return search(desk, *GROUPS, "--max-refused", "7")


@case("a range of values that is none")
def _(desk: Path) -> list[str]:
    return search(desk, *GROUPS, "--intensity", "4095:0")


@case("a range of values that no image needs")
def _(desk: Path) -> list[str]:
    return search(desk, *GROUPS, "--intensity", "0:4095")


@case("options for files with pages and channels, and none has them")
def _(desk: Path) -> list[str]:
    return search(desk, *GROUPS, "--page", "max", "--intensity", "0:9")


@case("a page that is none")
def _(desk: Path) -> list[str]:
    return search(desk, *GROUPS, "--page", "0")


@case("channels that are none")
def _(desk: Path) -> list[str]:
    return search(desk, *GROUPS, "--channels", "DAPI=purple")


@case("channels of images in colours")
def _(desk: Path) -> list[str]:
    return search(desk, *GROUPS, "--channels", "DAPI=red")


@case("DICOM with several windows")
def _(desk: Path) -> list[str]:
    for group in range(6):
        values = np.random.default_rng(group).integers(0, 4096, (40, 40)).astype(np.uint16)
        dicom(desk / "data" / "c" / f"g{group}_a.dcm", values, 12, WindowCenter=40 + group % 2, WindowWidth=400)
    return search(desk)


@case("data that are no folder and no table")
def _(desk: Path) -> list[str]:
    (desk / "notes.docx").write_bytes(b"PK")
    return search(desk, data=desk / "notes.docx")
