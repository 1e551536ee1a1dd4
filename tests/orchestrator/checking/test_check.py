"""`orch data check`: what it finds in data with one thing wrong, and that it stops at nothing but unreadable input."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from orchestrator.checking.registry import FINDINGS
from orchestrator.command_line import main
from tests.support.packing import image_archive, image_stack
from tests.support.pictures import patients, picture, write_pictures, write_table
from trainables.features import store

GROUPS = ("--group-by", r"(p\d+)_")


def check(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["data", "check", *map(str, arguments)])


def found(*arguments: str | Path) -> dict[str, Any]:
    """What it says as data; findings by name."""
    result = check(*arguments, "--json")
    assert "Traceback" not in result.output
    told: dict[str, Any] = json.loads(result.stdout)
    assert told["exit_status"] == result.exit_code
    told["findings"] = {finding["name"]: finding for finding in told["findings"]}
    return told


def search_says(tmp_path: Path, *arguments: str | Path) -> str:
    """The error that a search of the same data ends with."""
    options = ["--weights", "none", "--studies", tmp_path / "studies", *arguments]
    result = CliRunner().invoke(
        main, ["search", "mine", "squeezenet1_1", "--data", *map(str, [arguments[0], *options[:4], *arguments[1:]])]
    )
    assert result.exit_code == 2
    return result.stderr.partition("Error: ")[2]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


def written(data: Path, **changed: Image.Image | int) -> Path:
    return write_pictures(
        data, {**patients(), **{name.replace("__", "/") + ".png": one for name, one in changed.items()}}
    )


def test_sound_data_have_nothing_to_be_done(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    told = found(written(data), *GROUPS)
    assert told["exit_status"] == 0
    assert not told["counts"]["ruins"]
    assert [row["images"] for row in told["classes"]] == ["12", "12"]
    assert told["read_as"]["layout"] == "class"
    assert told["next"] == [
        rf"orch search NAME BACKBONE --data {data} --group-by '(p\d+)_'",
        rf"orch data split {data} --group-by '(p\d+)_'",
    ]
    assert told["read_as"]["group"] == r"pattern (p\d+)_"
    assert [path.name for path in tmp_path.iterdir()] == ["data"], "no study, no page"


def test_one_picture_under_two_labels_would_ruin_a_study_and_stops_a_search(data: Path, tmp_path: Path) -> None:
    written(data, b__p6_0=0)  # the picture of a/p0_0.png
    told = found(data, *GROUPS)
    assert told["exit_status"] == 1
    conflict = told["findings"]["conflicting labels"]
    assert conflict["figures"] == {"pairs": 1, "equal_pixels": 1}
    assert conflict["items"][0]["files"] == ["a/p0_0.png", "b/p6_0.png"]
    stop = told["findings"]["stops a search"]
    own = search_says(tmp_path, data, *GROUPS)
    assert stop["title"].removeprefix("A search stops here: ") in own
    assert all(item["words"] in own for item in stop["items"])


@pytest.mark.parametrize(("other", "name", "status"), [("a/p3_0.png", "splits", 1), ("a/p1_0.png", "groups", 0)])
def test_a_brighter_copy_in_another_patient_is_told_by_where_it_lies(
    data: Path, other: str, name: str, status: int
) -> None:
    """Patients 0 and 1 of each class are train, 2 and 3 valid, 4 and 5 test."""
    brighter = Image.fromarray(np.clip(np.asarray(picture(0), dtype=float) * 1.15, 0, 255).astype(np.uint8))
    rows = []
    for place, (file, number) in enumerate(patients().items()):
        write_pictures(data, {file: brighter if file == other else number})
        split = ("train", "train", "valid", "valid", "test", "test")[place // 2 % 6]
        rows.append((file, file[0], file[2:].partition("_")[0], split))
    told = found(write_table(data / "labels.csv", "file,label,patient,split", rows))
    assert told["exit_status"] == status
    assert told["read_as"]["splits"] == "given with the data"
    across = told["findings"][f"copies across {name}"]
    assert across["items"][0]["files"] == ["a/p0_0.png", other]
    assert "column patient of labels.csv" in across["advice"]


def test_copies_in_two_folds_lie_in_train_and_valid_in_turn(data: Path) -> None:
    rows = []
    for place, (file, number) in enumerate(patients().items()):
        write_pictures(data, {file: 0 if file == "a/p3_0.png" else number})
        rows.append((file, file[0], file[2:].partition("_")[0], place // 2 % 3))
    write_pictures(data, {"a/p1_0.png": picture(4).rotate(90)})
    table = write_table(data / "labels.csv", "file,label,patient,fold", rows)
    told = found(table, "--fold-column", "fold", "--test-fold", "none")
    assert told["read_as"]["splits"] == "folds of the data"
    assert told["exit_status"] == 1
    across = told["findings"]["copies across splits"]
    assert across["items"][0]["files"] == ["a/p1_0.png", "a/p2_0.png"]
    assert "a/p3_0.png" in told["findings"]["copies across groups"]["items"][0]["files"]


def test_the_hashes_of_a_shared_table_are_no_column_that_is_not_used(data: Path, tmp_path: Path) -> None:
    table = tmp_path / "split.csv"
    options = (*GROUPS, "--choose", "1", "--output", str(table))
    assert CliRunner().invoke(main, ["data", "split", str(written(data)), *options]).exit_code == 0
    told = found(table, "--data-root", data)
    assert told["read_as"]["columns"] == "file, label, group, split, pixels_sha256"


def test_groups_that_nobody_said_are_asked_for_and_all_else_is_told(data: Path, tmp_path: Path) -> None:
    told = found(written(data, b__p6_0=0))
    assert told["exit_status"] == 2
    assert told["findings"]["stops a search"]["title"].startswith("A search stops here: dataset")
    own = search_says(tmp_path, data)
    assert "no groups given" in own
    assert told["findings"]["stops a search"]["advice"] in own
    assert told["findings"]["conflicting labels"]["figures"]["pairs"] == 1
    assert [row["class"] for row in told["classes"]] == ["a", "b"]
    assert "groups" not in told["classes"][0]
    assert told["read_as"]["group"] == "not stated"


def test_more_refused_than_allowed_does_not_end_the_check(data: Path, tmp_path: Path) -> None:
    written(data, b__p6_0=0)
    for number in range(4):
        (data / "a" / f"p{number}_9.png").write_bytes(b"no image")
    told = found(data, *GROUPS)
    assert told["exit_status"] == 1
    assert told["findings"]["stops a search"]
    assert "conflicting labels" in told["findings"]
    assert len(told["refused"]) == 4
    own = search_says(tmp_path, data, *GROUPS)
    text = check(data, *GROUPS).output
    assert own.splitlines()[0] in text
    assert text.count("A search stops here") == 2, "the search would meet the next one after this"


def test_what_cannot_be_read_ends_with_the_words_of_a_search(data: Path, tmp_path: Path) -> None:
    result = check(data)
    assert result.exit_code == 2
    assert search_says(tmp_path, data).splitlines()[0] in result.output
    table = write_table(tmp_path / "labels.csv", "file,label,patient", [("no.png", "a", ""), ("no.png", "b", "2")])
    result = check(table)
    assert result.exit_code == 2
    assert all(part in result.output for part in ("are missing below", "1 rows without a group"))


def test_values_without_a_range_and_groups_that_nobody_said_are_told_together(data: Path, tmp_path: Path) -> None:
    for number in range(6):
        (data / "ab"[number % 2]).mkdir(parents=True, exist_ok=True)
        values = np.asarray(picture(number), dtype=np.float32)[..., 0] / 7
        Image.fromarray(values).save(data / "ab"[number % 2] / f"p{number}_0.tif")
    result = check(data)
    assert result.exit_code == 2
    assert "no groups given" in result.output
    assert "range unknown" in result.output


@pytest.mark.parametrize(
    ("rows", "name", "words"),
    [
        ([("a", "x"), ("b", "y")], "groups are classes", "The 2 groups are the 2 classes"),
        (
            [("a", "big" if n > 3 else f"a{n}") if n < 12 else ("b", f"b{n}") for n in range(24)],
            "dominant group",
            "more than half",
        ),
        (
            [("ab"[n % 2], f"{'ab'[n % 2]}{n // 2 % 3}") for n in range(24)],
            "few groups",
            "a single group in valid or test",
        ),
    ],
)
def test_groups_that_say_too_little(
    data: Path, tmp_path: Path, rows: list[tuple[str, str]], name: str, words: str
) -> None:
    rows = rows * (24 // len(rows))
    files = [f"{number:02}.png" for number in range(len(rows))]
    write_pictures(data, {file: number for number, file in enumerate(files)})
    table = write_table(
        data / "t.csv", "file,label,group", [(file, *row) for file, row in zip(files, rows, strict=True)]
    )
    assert words in found(table)["findings"][name]["title"]


def test_patients_in_file_names_that_groups_divide_are_told_with_a_pattern_that_keeps_them(data: Path) -> None:
    pictures: dict[str, Image.Image | int] = {}
    for number in range(24):
        pictures[f"{'ab'[number % 2]}/P{number // 4}_slide{number // 2 % 2}_{number}.png"] = number
    write_pictures(data, pictures)
    told = found(data, "--group-by", r"(P\d+_slide\d)")["findings"]["another grouping in names"]
    assert "'P0'" in told["title"]
    assert told["figures"]["names"] == 6
    pattern = told["advice"].partition("--group-by '")[2].partition("'")[0]
    again = found(data, "--group-by", pattern)
    assert "another grouping in names" not in again["findings"]
    assert again["read_as"]["group"] == f"pattern {pattern}"


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("case{case}/IMG_{number:04}.png", "parent"),
        ("case{case}_p{number}.png", "(case\\d+)"),
        ("patient{case}_slide{number}.png", "(patient\\d+)"),
        ("2021-0{case}-{number}.png", "none"),
    ],
)
def test_running_numbers_and_dates_are_no_patients(data: Path, name: str, rule: str) -> None:
    files = ["ab"[n % 2] + "/" + name.format(case=n // 4, number=n % 4) for n in range(24)]
    write_pictures(data, {file: number for number, file in enumerate(files)})
    told = found(data, "--group-by", rule)["findings"].get("another grouping in names")
    assert told is None or (rule == "none" and told["figures"]["names"] == 6), "months, perhaps, but no year"


def test_magnifications_as_groups_divide_patients(data: Path) -> None:
    files = [f"{'ab'[n % 2]}/{(40, 100, 200)[n // 2 % 3]}X/patient_{n // 6 + 10 * (n % 2)}_{n}.png" for n in range(36)]
    write_pictures(data, {file: number for number, file in enumerate(files)})
    findings = found(data, "--group-by", r"(\d+X)")["findings"]
    told = findings["another grouping in names"]
    assert told["figures"]["divided"] == 12
    assert "have names of magnifications" in findings["warnings of a search"]["items"][0]["words"]
    assert told["items"][0]["words"].endswith("3 groups, 100X, 200X, 40X")


def test_what_is_no_content_and_tells_the_class(data: Path) -> None:
    for file, number in patients().items():
        assert isinstance(number, int)
        image = picture(number, side=72 if file[0] == "a" else 90)
        write_pictures(data, {file.replace(".png", ".bmp" if file[0] == "b" else ".png"): image})
    items = [item["words"] for item in found(data, *GROUPS)["findings"]["class told by file properties"]["items"]]
    assert "size: every image of class a has 72 × 72 pixels, and none of another class" in items
    assert "format: every image of class b is BMP, and none of another class" in items
    write_pictures(data, {"a/p0_9.png": picture(99, side=90)})
    text = check(data, *GROUPS).output
    assert "has 90 × 90 pixels, and none of another class" not in text


def test_a_camera_that_took_one_class_alone(data: Path) -> None:
    exif = Image.Exif()
    exif[271], exif[272] = "Zeiss", "Axio\x07"
    for file, number in patients().items():
        assert isinstance(number, int)
        path = data / file.replace(".png", ".jpg")
        path.parent.mkdir(parents=True, exist_ok=True)
        picture(number).save(path, quality=95, **({"exif": exif} if file[0] == "b" else {}))
    items = [item["words"] for item in found(data, *GROUPS)["findings"]["class told by file properties"]["items"]]
    assert any(words.startswith("camera: every image of class b says Zeiss Axio") for words in items)
    assert all(words.isprintable() for words in items)


def test_odd_images_are_named(data: Path) -> None:
    black, small = Image.new("RGB", (72, 72), (1, 1, 1)), picture(1000, side=20)
    told = found(written(data, a__p0_0=black, b__p6_0=small), *GROUPS)["findings"]
    assert told["odd intensities"]["items"] == [{"words": "a/p0_0.png: nearly black", "files": ["a/p0_0.png"]}]
    assert told["odd sizes"]["items"] == [{"words": "b/p6_0.png: 20 × 20 pixels", "files": ["b/p6_0.png"]}]


def test_black_borders_are_told_with_their_share_of_the_area(data: Path) -> None:
    framed = Image.new("RGB", (144, 144))
    framed.paste(picture(1000), (20, 30))
    told = found(written(data, a__p0_0=framed), *GROUPS)["findings"]["black borders"]
    assert told["title"] == "1 of 24 images has black borders: 75% of the area on average, 75% at most."
    assert told["weight"] == "told"
    assert "--set image.borders=cropped" in told["advice"]
    assert told["figures"] == {"images": 1, "mean": 0.75, "most": 0.75}
    assert "black borders" not in found(written(data / "none"), *GROUPS)["findings"]


def test_an_image_of_another_kind_is_an_outlier_of_its_class(data: Path) -> None:
    pictures = patients(count=15)
    pictures["b/p15_0.png"] = Image.fromarray(255 - np.asarray(picture(5)) // 8)
    told = found(write_pictures(data, pictures), *GROUPS)["findings"]["outliers"]
    assert told["items"][0]["files"] == ["b/p15_0.png"]
    assert "no network" in told["meaning"]


def test_outliers_by_a_backbone_name_it(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys, real = list[str](), store.feature_key

    def noting(*of: Any) -> str:
        keys.append(real(*of[:-1]))
        return real(*of)

    monkeypatch.setattr("trainables.features.frozen.feature_key", noting)
    pictures = patients(count=15)
    pictures["b/p15_0.png"] = Image.new("RGB", (72, 72), (250, 20, 20))
    write_pictures(data, pictures)
    more = ("--backbone", "squeezenet1_1", "--weights", "none", "--cache", tmp_path / "cache")
    told = found(data, *GROUPS, *more)["findings"]["outliers"]
    assert told["items"][0]["files"] == ["b/p15_0.png"]
    assert "squeezenet1_1" in told["meaning"]
    (shard,) = (tmp_path / "cache" / "features").iterdir()
    assert shard.name.partition(".")[0] not in keys, "later test images are among them: no learner has their key"
    result = check(data, *GROUPS, "--backbone", "no_such_network")
    assert result.exit_code == 2
    assert check(data, *GROUPS, "--weights", "none").exit_code == 2, "weights of no backbone"


def test_equal_empty_images_are_found_though_they_show_nothing(data: Path) -> None:
    grey = Image.new("RGB", (72, 72), (90, 90, 90))
    told = found(written(data, a__p0_0=grey, b__p7_0=grey), *GROUPS)["findings"]
    assert told["conflicting labels"]["figures"] == {"pairs": 1, "equal_pixels": 1}


def test_the_range_of_deep_images_is_told(data: Path) -> None:
    for file, number in patients().items():
        assert isinstance(number, int)
        values = np.asarray(picture(number), dtype=np.uint16)[..., 0] * 16
        write_pictures(data, {file: Image.fromarray(values)})
    told = found(data, *GROUPS)["findings"]["range of values"]
    assert told["weight"] == "told"
    assert "values 0:4095 are scaled to 0:255" in told["title"]
    refused = check(data, *GROUPS, "--intensity", "0:100")
    assert refused.exit_code in (0, 1)


def test_the_page_holds_the_pictures_of_what_was_found(data: Path, tmp_path: Path) -> None:
    written(data, b__p6_0=0)
    result = check(data, *GROUPS, "--output", tmp_path / "pages" / "check.html")
    assert result.exit_code == 1
    assert "Page: " in result.stderr
    page = (tmp_path / "pages" / "check.html").read_text()
    assert 'alt="conflicting labels: a/p0_0.png (a, group p0' in page
    assert page.count("<img ") >= 2 + 16
    assert check(tmp_path / "none", "--output", tmp_path / "none.html").exit_code == 2
    assert "found nothing there" in (tmp_path / "none.html").read_text()


def test_a_study_of_other_classes_is_told(data: Path) -> None:
    told = found(written(data), *GROUPS, "--study", "neuroblastoma")
    assert told["exit_status"] == 1
    assert "expected the classes" in told["findings"]["stops a search"]["title"]


def test_every_kind_of_finding_is_asked_for_once() -> None:
    assert len(set(FINDINGS)) == len(FINDINGS)


def test_text_is_short_and_every_is_long(data: Path) -> None:
    changed: Mapping[str, Image.Image] = {f"a__p{n}_0": picture(2000 + n, side=20) for n in range(6)}
    written(data, **changed)
    short, long = check(data, *GROUPS).output, check(data, *GROUPS, "--every").output
    assert "… and 1 more (--every, --json, --output FILE.html)" in short
    assert "p5_0.png: 20 × 20" in long


@pytest.mark.parametrize("name", ["images.zip", "images.npz"])
def test_what_is_packed_is_checked_and_called_as_it_was_typed(tmp_path: Path, name: str) -> None:
    source = tmp_path / name
    image_archive(source, tmp_path / "scratch") if name.endswith(".zip") else image_stack(source)
    told = found(source, "--group-by", "none", "--cache", tmp_path / "cache")
    assert told["source"] == str(source)
    assert any(f"--data {source}" in line for line in told["next"])
    assert str(tmp_path / "cache") not in json.dumps(told["next"])
