"""`orch data split`: partitions compared, and the table of one that a search takes as it is, elsewhere too."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from orchestrator.command_line import main
from orchestrator.study.preparation import divide
from search_spaces.loader import default_space
from tests.support.pictures import patients, picture, write_pictures, write_table
from trainables.data.contents import COLUMN
from trainables.data.dataset import Dataset, fingerprint, load_dataset
from trainables.data.options import DatasetOptions

GROUPS = ("--group-by", r"(p\d+)_")


def split(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["data", "split", *map(str, arguments)])


def told(*arguments: str | Path) -> dict[str, Any]:
    result = split(*arguments, "--json")
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_pictures(tmp_path / "data", patients(count=9, classes=("a", "b", "c")))


def given(table: Path, root: Path, **options: Any) -> Dataset:
    return load_dataset(table, DatasetOptions(data_root=root, **options))


def test_candidates_begin_with_what_a_search_takes(data: Path) -> None:
    found = told(data, *GROUPS, "--seeds", "3", "--partitions", "3")
    dataset = load_dataset(data, DatasetOptions(group_by=GROUPS[1]))
    own = divide(default_space("x"), dataset.manifest, 0)
    assert [one["is_taken"] for one in found["candidates"]] == [True, *[False] * (len(found["candidates"]) - 1)]
    assert found["candidates"][0]["partition"] == own.id
    assert len({one["partition"] for one in found["candidates"]}) == len(found["candidates"])
    ways = [how for one in found["candidates"] for how in one["how"]] + [one["how"] for one in found["impossible"]]
    assert sorted(ways) == sorted(
        [
            *("stratified, seed 0", "stratified, seed 1", "stratified, seed 2", "psp", "ifp", "ifpo"),
            *(f"partition {place} of 3, with the test split of the first" for place in (2, 3)),
        ]
    )
    distances = [one["by_images"] for one in found["candidates"][1:]]
    assert distances == sorted(distances)
    for one in found["candidates"]:
        for part in one["classes"]:
            assert sum(part["images"]) == 18
            assert sum(part["groups"]) == 9
            assert part["shares"] == [number / 18 for number in part["images"]]
        assert one["is_complete"] == all(min(part["groups"]) > 0 for part in one["classes"])
    worked = [
        abs(share - target)
        for part in found["candidates"][0]["classes"]
        for share, target in zip(part["shares"], (0.7, 0.15, 0.15), strict=True)
    ]
    assert found["candidates"][0]["by_images"] == pytest.approx(sum(worked) / 9)


def test_another_seed_is_what_a_search_with_it_takes(data: Path) -> None:
    found = told(data, *GROUPS, "--seed", "4", "--seeds", "1")
    assert found["candidates"][0]["how"][0] == "stratified, seed 4"


def test_the_table_of_one_is_taken_as_it_is_where_the_images_lie_elsewhere(data: Path, tmp_path: Path) -> None:
    output = tmp_path / "split.csv"
    found = told(data, *GROUPS, "--choose", "2", "--output", output)
    chosen = found["candidates"][1]
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(data, elsewhere)
    dataset = given(output, elsewhere)
    partition = divide(default_space("x"), dataset.manifest, 7)
    assert partition.policy == "given"
    assert partition.id == chosen["partition"]
    seen = dataset.manifest["split"].isin(["train", "valid"])
    assert fingerprint(dataset.manifest[seen]) == chosen["fingerprint"]
    assert fingerprint(dataset.manifest[~seen]) == chosen["test_fingerprint"]
    assert found["search"] == f"orch search NAME BACKBONE --data {output} --data-root {data}"
    with output.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["file", "label", "group", "split", COLUMN]
    assert len(rows) == 54


def test_images_of_other_content_are_refused_by_name(data: Path, tmp_path: Path) -> None:
    told(data, *GROUPS, "--output", tmp_path / "split.csv")
    write_pictures(data, {"a/p0_1.png": 5000, "c/p20_0.png": 5001})
    (data / "b" / "p9_0.png").rename(data / "b" / "old.png")
    picture(18).save(data / "b" / "p9_0.png", compress_level=1)  # another file of the same pixels
    search = ["search", "mine", "squeezenet1_1", "--weights", "none", "--data", str(tmp_path / "split.csv")]
    result = CliRunner().invoke(main, [*search, "--data-root", str(data), "--studies", str(tmp_path / "studies")])
    assert result.exit_code == 2
    assert "2 of 54 images are not those that the table was written for" in result.output
    assert "'a/p0_1.png', 'c/p20_0.png'" in result.output
    assert not (tmp_path / "studies").exists()


def test_hashes_that_are_none_are_refused(data: Path, tmp_path: Path) -> None:
    told(data, *GROUPS, "--output", tmp_path / "split.csv")
    text = (tmp_path / "split.csv").read_text()
    (tmp_path / "cut.csv").write_text("\n".join(line[:-3] if "p0_" in line else line for line in text.splitlines()))
    result = split(tmp_path / "cut.csv", "--data-root", data)
    assert result.exit_code == 2
    assert f"column '{COLUMN}': 2 rows without a hash of 64 hex digits" in result.output


def test_patches_of_a_shared_table_are_other_images(data: Path, tmp_path: Path) -> None:
    told(data, *GROUPS, "--output", tmp_path / "split.csv")
    arguments = ["data", "patches", str(tmp_path / "split.csv"), "--data-root", str(data), "--size", "36"]
    result = CliRunner().invoke(main, [*arguments, "--least-tissue", "0", "--output", str(tmp_path / "patches")])
    assert result.exit_code == 0, result.output
    dataset = load_dataset(tmp_path / "patches" / "labels.csv", DatasetOptions())
    assert len(dataset.manifest) == 4 * 54


def test_images_assumed_independent_stay_so(data: Path, tmp_path: Path) -> None:
    output = data / "split.csv"
    found = told(data, "--group-by", "none", "--output", output)
    assert found["search"] == f"orch search NAME BACKBONE --data {output} --group-by none"
    with output.open(newline="") as file:
        assert "group" not in next(csv.reader(file))
    dataset = load_dataset(output, DatasetOptions(group_by="none"))
    assert divide(default_space("x"), dataset.manifest, 0).id == found["candidates"][0]["partition"]


def test_a_file_of_something_else_is_not_written_over(data: Path, tmp_path: Path) -> None:
    output = tmp_path / "split.csv"
    told(data, *GROUPS, "--output", output)
    before = output.read_bytes()
    told(data, *GROUPS, "--output", output)
    result = split(data, *GROUPS, "--choose", "2", "--output", output)
    assert result.exit_code == 2
    assert "holds something else" in result.output
    assert output.read_bytes() == before


def test_names_that_a_table_would_read_otherwise_are_refused(data: Path, tmp_path: Path) -> None:
    write_pictures(data, {"a;x/p0_7.png": 700, "a;x/p1_7.png": 701, "a;x/p2_7.png": 702})
    result = split(data, *GROUPS, "--output", tmp_path / "split.csv")
    assert result.exit_code == 2
    assert "cannot be written as a table" in result.output
    assert not (tmp_path / "split.csv").exists()


def test_a_given_partition_and_folds_are_candidates(data: Path, tmp_path: Path) -> None:
    files = [path.relative_to(data).as_posix() for path in sorted(data.rglob("*.png"))]
    patient = {file: file.partition("/")[2].partition("_")[0] for file in files}
    fold = {file: str(int(patient[file][1:]) % 3) for file in files}
    table = write_table(
        data / "t.csv", "file,label,patient,fold", [(file, file[0], patient[file], fold[file]) for file in files]
    )
    found = told(table, "--fold-column", "fold", "--test-fold", "2", "--seeds", "1")
    assert found["candidates"][0]["how"] == ["given, with fold 0 as valid"]
    assert ["given, with fold 1 as valid"] in [one["how"] for one in found["candidates"]]
    table = write_table(
        data / "g.csv",
        "file,label,patient,split",
        [(file, file[0], patient[file], ("train", "valid", "test")[int(fold[file])]) for file in files],
    )
    assert told(table)["candidates"][0]["how"] == ["given"]


def test_copies_in_two_splits_are_counted_and_equal_ones_refused(data: Path, tmp_path: Path) -> None:
    shutil.copy(data / "a" / "p0_0.png", data / "a" / "p1_9.png")
    found = told(data, *GROUPS, "--seeds", "20")
    divided = [one for one in found["candidates"] if one["copies_across_splits"]]
    assert divided
    assert all("equal pixels in different splits" in one["faults"] for one in divided)
    assert any(not one["faults"] for one in found["candidates"])
    result = split(
        data, *GROUPS, "--seeds", "20", "--choose", str(divided[0]["number"]), "--output", tmp_path / "o.csv"
    )
    assert result.exit_code == 2
    assert not (tmp_path / "o.csv").exists()


def test_what_stops_a_search_stops_it(data: Path) -> None:
    assert "no groups given" in split(data).output
    result = split(data, *GROUPS, "--choose", "99")
    assert result.exit_code == 2
    assert "--choose 99: expected at most 7, the number of candidates" in result.output


def test_the_text_marks_what_a_search_takes_and_tells_the_chosen_class_by_class(data: Path) -> None:
    result = split(data, *GROUPS, "--choose", "2")
    assert result.exit_code == 0
    assert "  *  1  stratified, seed 0" in result.stdout
    assert "\n2: " in result.stdout
    assert "Fingerprint of partition 2: " in result.stdout
    assert "\n1: " not in result.stdout
    assert "\n1: " in split(data, *GROUPS, "--every").stdout
