"""Fields become a folder that a search reads: names, groups, losses, going on after a kill, and what is refused."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from orchestrator.command_line import main
from orchestrator.patches.names import kept_columns
from orchestrator.patches.verdicts import decide
from orchestrator.store.storage import LocalStorage
from tests.support.checkout import ROOT
from tests.support.fields import SIDE, field, write_fields
from tests.support.page_files import ome_xml, tiff_pages
from trainables.data.dataset import load_dataset
from trainables.data.decode import read_rgb
from trainables.data.options import DatasetOptions
from trainables.data.reading import Reading


def cut(source: Path, output: Path, *options: str) -> Result:
    return CliRunner().invoke(
        main, ["data", "patches", str(source), "--output", str(output), "--size", str(SIDE), *options]
    )


def rows_of(output: Path) -> list[dict[str, str]]:
    with (output / "labels.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def files_in(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refused(result: Result, *parts: str) -> None:
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    for part in parts:
        assert part in result.output


@pytest.fixture
def fields(tmp_path: Path) -> Path:
    return write_fields(tmp_path / "fields")


def test_class_folders_become_patches_that_a_search_reads(fields: Path, tmp_path: Path) -> None:
    result = cut(fields, tmp_path / "out", "--margin", "0")
    assert result.exit_code == 0, result.output
    rows = rows_of(tmp_path / "out")
    assert list(rows[0]) == ["file", "label", "group", "source", "x", "y", "width", "height", "tissue"]
    assert len(rows) == 6 * 11, "twelve squares in each field, the first of them empty"
    for row in rows:
        x, y = int(row["x"]), int(row["y"])
        whole = read_rgb(fields / row["source"], 10**6)
        patch = read_rgb(tmp_path / "out" / row["file"], 10**6)
        np.testing.assert_array_equal(patch, whole[y : y + SIDE, x : x + SIDE])
        assert row["file"].startswith(f"{row['label']}/slide")
        assert row["group"] == row["source"]
        assert 0.01 <= float(row["tissue"]) <= 1
    dataset = load_dataset(tmp_path / "out" / "labels.csv", DatasetOptions())
    assert dataset.group_meaning == "column group of labels.csv"
    assert dataset.manifest["group"].nunique() == 6
    assert len(dataset.manifest) == len(rows)


def test_every_pixel_is_kept_or_has_a_reason(fields: Path, tmp_path: Path) -> None:
    result = cut(fields, tmp_path / "out", "--margin", "0,0,3,0", "--json")
    told = json.loads(result.stdout)
    area = (4 * SIDE + 7) * (3 * SIDE + 7)
    one = SIDE**2
    expected = {"kept": 11 * one, "edges": 4 * SIDE * 7 + 4 * (3 * SIDE + 7), "margin": 3 * (3 * SIDE + 7)}
    for source in told["sources"]:
        assert sum(source["pixels"].values()) == area
        assert source["pixels"] == {**expected, "background": one}
    assert told["lost_share"] == pytest.approx(1 - 11 * one / area)
    with (tmp_path / "out" / "losses.csv").open(newline="") as file:
        losses = list(csv.DictReader(file))
    assert [int(row["lost_background"]) for row in losses] == [one] * 6
    shown = cut(fields, tmp_path / "out", "--margin", "0,0,3,0").output
    assert f"{told['lost_share']:.2%} of the pixels are lost" in shown
    assert f"{expected['edges'] / area:.2%}" in shown


def test_a_plan_writes_nothing(fields: Path, tmp_path: Path) -> None:
    result = cut(fields, tmp_path / "out", "--plan", "--json")
    told = json.loads(result.stdout)
    assert told["planned_only"] is True
    assert told["patches"] == 66
    assert not (tmp_path / "out").exists()
    raw = 66 * SIDE * SIDE * 3
    assert 0.1 * raw < told["disk"]["bytes"] - 6 * 400_000 < 1.3 * raw


def test_a_table_gives_patients_a_split_and_its_other_columns(fields: Path, tmp_path: Path) -> None:
    lines = ["picture;diagnosis;patient;set;stain;image_name"]
    for number, path in enumerate(sorted(fields.rglob("*.png"))):
        split = ("train", "val", "test")[number % 3]
        lines.append(f"{path.relative_to(fields)};{path.parent.name};p{number % 3};{split};HE;scan {number}")
    (fields / "table.csv").write_text("\n".join(lines))
    result = cut(fields / "table.csv", tmp_path / "out", "--file-column", "picture")
    assert result.exit_code == 0, result.output
    assert "Group: column patient of table.csv." in result.output
    rows = rows_of(tmp_path / "out")
    assert Counter(row["group"] for row in rows) == {"p0": 22, "p1": 22, "p2": 22}
    assert {(row["group"], row["split"]) for row in rows} == {("p0", "train"), ("p1", "valid"), ("p2", "test")}
    assert {row["stain"] for row in rows} == {"HE"}
    assert rows[0]["source_image_name"] == "scan 0", "else it would be a second file column"
    dataset = load_dataset(tmp_path / "out" / "labels.csv", DatasetOptions())
    assert set(dataset.manifest["split"]) == {"train", "valid", "test"}


def test_a_rule_gives_groups_and_two_sources_of_one_name_stay_apart(tmp_path: Path) -> None:
    for label in "ab":
        for patient in range(3):
            place = tmp_path / "fields" / label / f"patient{patient}"
            place.mkdir(parents=True)
            Image.fromarray(field(ord(label) + patient)).save(place / "scan.png")
    result = cut(tmp_path / "fields", tmp_path / "out", "--group-by", "parent")
    assert result.exit_code == 0, result.output
    rows = rows_of(tmp_path / "out")
    assert {row["group"] for row in rows} == {"patient0", "patient1", "patient2"}
    assert len({row["file"] for row in rows}) == len(rows) == 66


def test_labels_that_lead_elsewhere_become_plain_names(fields: Path, tmp_path: Path) -> None:
    paths = sorted(fields.rglob("*.png"))
    names = ["../../evil", "../../evil", "../../evil", "x/y", "x/y", "x/y"]
    lines = ["file,label", *(f"{path.relative_to(fields)},{name}" for path, name in zip(paths, names, strict=True))]
    (fields / "table.csv").write_text("\n".join(lines))
    assert cut(fields / "table.csv", tmp_path / "out").exit_code == 0
    assert {row["label"] for row in rows_of(tmp_path / "out")} == {"../../evil", "x/y"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fields", "out"]
    assert {path.name for path in (tmp_path / "out").iterdir() if path.is_dir()} == {".overviews", "x_y", "_.._evil"}


def test_resampling_makes_scales_alike(tmp_path: Path) -> None:
    for label, um in (("a", 0.5), ("b", 1.0)):
        (tmp_path / "fields" / label).mkdir(parents=True)
        Image.fromarray(field(ord(label))).save(tmp_path / "fields" / label / "s.png", dpi=(25_400 / um,) * 2)
    told = cut(tmp_path / "fields", tmp_path / "plain", "--plan").output
    assert "µm per pixel: 0.5 to 1, from dots per inch; kept." in told
    assert (
        "Warning: these images have different scales, so cells differ in size; --um-per-pixel 1 makes them alike."
        in told
    )
    result = cut(tmp_path / "fields", tmp_path / "out", "--um-per-pixel", "1", "--margin", "0")
    assert result.exit_code == 0, result.output
    rows = rows_of(tmp_path / "out")
    assert {(row["label"], row["width"], row["height"]) for row in rows} == {("a", "64", "64"), ("b", "32", "32")}
    assert {read_rgb(tmp_path / "out" / row["file"], 10**6).shape for row in rows} == {(SIDE, SIDE, 3)}


def test_pixels_that_are_not_square_are_told(tmp_path: Path) -> None:
    for label in "ab":
        (tmp_path / "fields" / label).mkdir(parents=True)
        Image.fromarray(field(ord(label))).save(tmp_path / "fields" / label / "s.png", dpi=(25_400, 50_800))
    told = cut(tmp_path / "fields", tmp_path / "out", "--plan").output
    assert "Warning: pixels of 'a/s.png', 'b/s.png' are not square" in told
    record = json.loads(cut(tmp_path / "fields", tmp_path / "out", "--um-per-pixel", "1", "--plan", "--json").stdout)
    squares = [(patch["width"], patch["height"]) for patch in record["sources"][0]["patches"]]
    assert squares == [(32, 64)] * 4


def test_columns_that_would_be_read_as_ours_are_told_apart() -> None:
    header = ["image", "source_image", "Patient ID", "stain", "x"]
    called = kept_columns(header)
    assert called == {
        "image": "source_source_image",
        "source_image": "source_image",
        "Patient ID": "source_Patient ID",
        "stain": "stain",
        "x": "source_x",
    }


def test_files_that_do_not_say_their_scale_are_told_it(fields: Path, tmp_path: Path) -> None:
    refused(
        cut(fields, tmp_path / "out", "--um-per-pixel", "1"),
        "6 of 6 files do not state µm per pixel: 'a/slide0.png'",
        "--source-um-per-pixel N",
    )
    said = cut(fields, tmp_path / "out", "--um-per-pixel", "1", "--source-um-per-pixel", "0.5", "--json", "--plan")
    assert json.loads(said.stdout)["sources"][0]["um_per_pixel"] == [0.5, 0.5]
    refused(cut(fields, tmp_path / "out", "--source-um-per-pixel", "0"), "expected a number above 0")
    paths = sorted(fields.rglob("*.png"))
    rows = [f"{path.relative_to(fields)},{path.parent.name},{number or 'x'}" for number, path in enumerate(paths)]
    (fields / "table.csv").write_text("\n".join(["file,label,mpp", *rows]))
    refused(cut(fields / "table.csv", tmp_path / "out", "--source-um-per-pixel", "mpp"), "a/slide0.png: column 'mpp'")
    assert not (tmp_path / "out").exists()


def test_what_is_there_is_never_written_over(fields: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "notes.txt").write_text("mine")
    refused(cut(fields, out), "expected an empty folder or a new one")
    assert files_in(out) == {"notes.txt": b"mine"}
    out = tmp_path / "other"
    assert cut(fields, out).exit_code == 0
    before = files_in(out)
    refused(cut(fields, out, "--least-tissue", "0.2"), "cut with other options: --least-tissue 0.01, now 0.2")
    refused(cut(fields, fields / "patches"), "lies within the folder of the images")
    Image.fromarray(field(99)).save(fields / "a" / "slide0.png")
    refused(cut(fields, out), "holds patches of other images: a/slide0.png has another content")
    assert files_in(out) == before


def test_an_interrupted_cut_goes_on(fields: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cut(fields, tmp_path / "whole").exit_code == 0
    real, written = LocalStorage.create, [0]

    def stops(storage: LocalStorage, path: str, content: bytes) -> bool:
        written[0] += 1
        if written[0] > 30:
            raise KeyboardInterrupt
        return real(storage, path, content)

    monkeypatch.setattr(LocalStorage, "create", stops)
    assert cut(fields, tmp_path / "out").exit_code == 130
    monkeypatch.setattr(LocalStorage, "create", real)
    assert not (tmp_path / "out" / "labels.csv").exists(), "half a cut is no dataset"
    refused(CliRunner().invoke(main, ["data", "cut", str(tmp_path / "out")]), "interrupted before all patches")
    there = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.png")}
    assert 0 < len(there) < 66
    result = cut(fields, tmp_path / "out")
    assert f"the {66 - len(there)} of 66 patches that" in result.output
    assert {path: path.stat().st_mtime_ns for path in there} == there, "what was written stays"
    whole, gone_on = files_in(tmp_path / "whole"), files_in(tmp_path / "out")
    assert gone_on == whole


def test_a_killed_cut_goes_on(fields: Path, tmp_path: Path) -> None:
    kills = (
        "import os, signal, sys\n"
        "from orchestrator.store.storage import LocalStorage\n"
        "real, n = LocalStorage.replace, [0]\n"
        "made = LocalStorage.create\n"
        "def create(self, path, content):\n"
        "    n[0] += 1\n"
        "    if n[0] > 25: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return made(self, path, content)\n"
        "LocalStorage.create = create\n"
        "from orchestrator.command_line import main\n"
        "main(sys.argv[1:])\n"
    )
    words = ["data", "patches", str(fields), "--output", str(tmp_path / "out"), "--size", str(SIDE)]
    run = subprocess.run([sys.executable, "-c", kills, *words], cwd=ROOT, env=os.environ, capture_output=True)
    assert run.returncode == -signal.SIGKILL, run.stderr
    assert cut(fields, tmp_path / "out").exit_code == 0
    assert cut(fields, tmp_path / "whole").exit_code == 0
    kept = {name: content for name, content in files_in(tmp_path / "out").items() if ".tmp-" not in name}
    assert kept == files_in(tmp_path / "whole")


def test_images_that_are_not_used_are_told(tmp_path: Path) -> None:
    fields = write_fields(tmp_path / "fields", per_class=10)
    (fields / "a" / "slide3.png").write_bytes(b"no image")
    (fields / "notes.txt").write_text("x")
    Image.fromarray(field(1)[:20]).save(fields / "b" / "slide4.png")
    told = cut(fields, tmp_path / "my out").output
    assert f"orch search NAME BACKBONE --data '{tmp_path}/my out/labels.csv'" in told
    assert "Not used: a/slide3.png: not an image: the content is not JPEG, PNG, TIFF, BMP, WebP, GIF or DICOM" in told
    assert "Passed over: 1 files" in told
    assert "Without a patch: b/slide4.png" in told
    assert "Group: the source image. If a patient or slide has several images" in told
    assert len({row["source"] for row in rows_of(tmp_path / "my out")}) == 18


def test_going_on_keeps_what_was_rejected(fields: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert cut(fields, out).exit_code == 0
    record: dict[str, Any] = json.loads((out / "cut.json").read_text())
    first = rows_of(out)[0]["file"]
    decide(out, record, "Ada", {first: True})
    assert cut(fields, out).exit_code == 0
    assert first not in {row["file"] for row in rows_of(out)}


def test_a_disk_that_cannot_hold_it(fields: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.patches.cut.shutil.disk_usage", lambda _: SimpleNamespace(free=100_000))
    refused(cut(fields, tmp_path / "out"), "66 patches take about", "Nothing was written")
    assert not (tmp_path / "out").exists()


def test_every_fault_of_the_images_at_once(fields: Path, tmp_path: Path) -> None:
    for path in (fields / "b").iterdir():
        Image.fromarray(field(1)[:20]).save(path)
    (fields / "a" / "slide0.png").write_bytes(b"no image")
    refused(
        cut(fields, tmp_path / "out", "--least-tissue", "0.99"),
        "1 of 6 images cannot be used, expected at most 10%: a/slide0.png: not an image",
        "class 'a': every patch counts as background",
        "class 'b': none of its 3 images has room for a patch of 32 pixels",
    )
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("margin", ["1,2", "-1", "a", "1.5"])
def test_margins_that_cannot_be_read(fields: Path, tmp_path: Path, margin: str) -> None:
    refused(cut(fields, tmp_path / "out", f"--margin={margin}"), "left,top,right,bottom")


def test_fields_of_16_bits_share_one_range(tmp_path: Path) -> None:
    """Each scaled by itself, a dim field would come out as bright as another."""
    for label, peak in (("a", 5000), ("b", 60000)):
        values = np.linspace(0, peak, 4 * SIDE * SIDE).reshape(2 * SIDE, 2 * SIDE).astype(np.uint16)
        (tmp_path / "deep" / label).mkdir(parents=True)
        Image.fromarray(values).save(tmp_path / "deep" / label / "one.png")
    result = cut(tmp_path / "deep", tmp_path / "out", "--margin", "0", "--least-tissue", "0")
    assert result.exit_code == 0, result.output
    most = {label: max(read_rgb(path, 10**6).max() for path in (tmp_path / "out" / label).iterdir()) for label in "ab"}
    assert most == {"a": 19, "b": 233}
    given = cut(tmp_path / "deep", tmp_path / "given", "--margin", "0", "--least-tissue", "0", "--intensity", "0:60000")
    assert given.exit_code == 0, given.output
    assert max(read_rgb(path, 10**6).max() for path in (tmp_path / "given" / "b").iterdir()) == 255


def test_fields_with_planes_and_channels(tmp_path: Path) -> None:
    """Patches are PNG: what a search would have to be told of the fields is done once."""
    generator = np.random.default_rng(2)
    for label in "ab":
        pages = [generator.integers(0, 4096, (2 * SIDE, 2 * SIDE)).astype(np.uint16) for _ in range(4)]
        tiff_pages(tmp_path / "stacks" / label / "one.ome.tif", pages, ome_xml((2, 2, 1), ["DAPI", "GFP"]))
    options = ["--margin", "0", "--least-tissue", "0", "--channels", "GFP=green", "--page", "max"]
    result = cut(tmp_path / "stacks", tmp_path / "out", *options)
    assert result.exit_code == 0, result.output
    rule = Reading.parse("0:4095 page=max channels=GFP=green")
    whole = read_rgb(tmp_path / "stacks" / "b" / "one.ome.tif", 10**6, rule)
    assert whole[..., 0].max() == whole[..., 2].max() == 0
    patches = sorted((tmp_path / "out" / "b").iterdir())
    assert np.array_equal(read_rgb(patches[0], 10**6), whole[:SIDE, :SIDE])
    refused(cut(tmp_path / "stacks", tmp_path / "none"), "several channels: 2 channels (DAPI, GFP)")
