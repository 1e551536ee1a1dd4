"""The command line: what a user is told about data that cannot be used. Starts no Ray."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support.desk import Desk, refused, table, write_images

pytestmark = pytest.mark.usefixtures("no_training")


def empty_folder(desk: Desk) -> list[str]:
    (desk.place / "empty").mkdir()
    return ["--data", str(desk.place / "empty"), "--group-by", "none"]


def folder_of_text(desk: Desk) -> list[str]:
    folder = desk.place / "text" / "a"
    folder.mkdir(parents=True)
    for number in range(3):
        (folder / f"{number}.txt").write_text("no image")
    return ["--data", str(folder.parent), "--group-by", "none"]


def half_jpegs(desk: Desk) -> list[str]:
    """Six of twelve files end in their middle."""
    folder = write_images(desk.place / "halves", suffix=".jpg")
    for path in sorted(folder.rglob("*.jpg"))[::2]:
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return ["--data", str(folder), "--group-by", r"(g\d)"]


def enormous_png(desk: Desk) -> list[str]:
    """A header that promises 30,000 × 30,000 pixels, alone in its class."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    (desk.data / "c").mkdir()
    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    content = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    (desk.data / "c" / "g0_0.png").write_bytes(content)
    return ["--data", str(desk.data), "--group-by", r"(g\d)"]


def lonely_label(desk: Desk) -> list[str]:
    (desk.data / "rare").mkdir()
    Image.fromarray(np.full((16, 16, 3), 99, np.uint8)).save(desk.data / "rare" / "g0_9.png")
    return ["--data", str(desk.data), "--group-by", r"(g\d)"]


def no_group(desk: Desk) -> list[str]:
    return ["--data", str(desk.data)]


def missing_files(desk: Desk) -> list[str]:
    return table(
        desk,
        "file,label,group",
        lambda n, path: f"{'gone/' if n < 2 else ''}{path},{path.parent},{path.stem[:2]}",
    )


def torn_group(desk: Desk) -> list[str]:
    split = ("train", "valid", "test")
    return table(
        desk, "file,label,group,split", lambda n, path: f"{path},{path.parent},{path.stem[:2]},{split[n // 3 % 3]}"
    )


def three_labels(desk: Desk) -> list[str]:
    return table(desk, "file,label,class,diagnosis,group", lambda n, path: f"{path},a,b,c,{path.stem[:2]}")


def missing_path(desk: Desk) -> list[str]:
    return ["--data", str(desk.place / "nowhere"), "--group-by", "none"]


BAD_DATA: dict[str, tuple[Callable[[Desk], list[str]], tuple[str, ...]]] = {
    "empty folder": (
        empty_folder,
        ("the folder is empty, expected JPEG, PNG, TIFF, BMP, WebP, GIF or DICOM files in one folder",),
    ),
    "text files": (folder_of_text, ("no images among 3 files (3 .txt)", "Give another folder: --data DIR")),
    "half JPEGs": (half_jpegs, ("6 of 12 images were refused, expected at most 10%", "g0_0.jpg")),
    "30,000 × 30,000 PNG": (enormous_png, ("every image of class 'c' was refused", "30000", "leave the class out")),
    "one image": (lonely_label, ("class 'rare': 1 image in 1 group ('g0'), expected at least 3 groups",)),
    "no group": (no_group, ("no groups given", "--group-by none")),
    "missing files": (missing_files, ("2 of 12 files are missing below", "'gone/a/g0_0.png'")),
    "group in two splits": (torn_group, ("group", "in more than one split", "g0")),
    "three label columns": (three_labels, ("3 columns may be the label (label, class, diagnosis)", "--label-column")),
    "nothing there": (missing_path, ("nowhere: expected a folder or a table, found nothing there", "Correct --data.")),
}


@pytest.mark.parametrize(("make", "parts"), BAD_DATA.values(), ids=BAD_DATA.keys())
def test_bad_data_is_named_and_nothing_is_written(
    desk: Desk, make: Callable[[Desk], list[str]], parts: tuple[str, ...]
) -> None:
    result = desk.own(*make(desk))
    refused(result, *parts)
    assert not desk.studies.exists()


SMALL = ("--weights", "none", "--epochs", "1", "--repeats", "1", "--lr", "0.1", "--batch-size", "4")


def test_groups_in_several_spellings_are_joined_on_request(desk: Desk) -> None:
    def row(number: int, path: Path) -> str:
        group = path.stem[:2]
        return f"{path},{path.parent},{group if number % 2 else group.upper()}"

    data = table(desk, "file,label,group", row)
    written = desk.data / "labels.csv"
    written.write_text(written.read_text().replace("b/g0_1.png,b,G0", "b/g0_1.png,b,g 0"))
    plan = ("plan", "mine", "squeezenet1_1", *SMALL, "--strategy", "straightforward", *data)
    refused(desk.run(*plan), "1 group is written in several ways", "'G0', 'g 0'", "--join-groups")
    result = desk.run(*plan, "--join-groups")
    assert result.exit_code == 0, result.output
    assert "column group of labels.csv, spellings joined" in " ".join(result.output.split())
    said = " ".join(result.stderr.split())
    assert (
        "Groups joined from several spellings (1), each under the name that most of its images have: 'G0', 'g 0'."
        in said
    )


def test_a_rule_that_divides_patients_warns(desk: Desk) -> None:
    for path in sorted(desk.data.rglob("*.png")):
        for index, scale in enumerate(("40X", "100X", "200X")):
            folder = path.with_suffix("") / scale
            folder.mkdir(parents=True)
            draw = np.random.default_rng([index, int(path.stem[1]), int(path.stem[3])])
            pixels = draw.integers(0, 255, (64, 64, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / "0.png")
        path.unlink()
    plan = ("plan", "mine", "squeezenet1_1", *SMALL, "--strategy", "straightforward", "--data", desk.data)
    refused(desk.run(*plan), "--group-by '([^/]+)/[^/]+/[^/]+$' would read (12 groups in all)")
    result = desk.run(*plan, "--group-by", "parent")
    assert result.exit_code == 0, result.output
    told = " ".join(result.stderr.split())
    assert "Warning: the 3 groups divide 12 of 12 folders such as 'g0_0'" in told
    assert "--group-by '([^/]+)/[^/]+/[^/]+$'" in told


def test_half_a_jpeg_among_good_images_is_refused_and_listed(desk: Desk) -> None:
    from orchestrator.study.studies import find_study

    broken = desk.data / "a" / "g0_9.jpg"
    Image.fromarray(np.random.default_rng(9).integers(0, 255, (64, 64, 3), dtype=np.uint8)).save(broken)
    broken.write_bytes(broken.read_bytes()[: broken.stat().st_size // 2])
    plan = ("plan", "mine", "squeezenet1_1", "--weights", "none", "--epochs", "1", "--repeats", "1", "--lr", "0.1")
    result = desk.run(
        *plan, "--batch-size", "4", "--strategy", "straightforward", "--data", desk.data, "--group-by", r"(g\d)"
    )
    assert result.exit_code == 0, result.output
    assert "1 file is not used" in result.stderr
    assert "a/g0_9.jpg" in result.stderr
    assert find_study(desk.studies, "mine") is None
