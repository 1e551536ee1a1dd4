"""What people say of patches is added, never changed; the table follows it, and a torn line costs nothing."""

from __future__ import annotations

import csv
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from click.testing import CliRunner

from orchestrator.command_line import main
from orchestrator.patches.record import VERDICTS, read_record
from orchestrator.patches.review import Review
from orchestrator.patches.verdicts import verdicts_of
from orchestrator.store.errors import DamagedRecordError, InputError
from tests.support.cut_fields import cut_fields


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return cut_fields(tmp_path)


def used(folder: Path) -> set[str]:
    with (folder / "labels.csv").open(newline="") as file:
        return {row["file"] for row in csv.DictReader(file)}


def test_rejected_patches_leave_the_table_and_can_be_taken_back(folder: Path) -> None:
    review = Review(folder, "Ada")
    told = review.decide({0: True, 5: True, 7: False})
    assert told["counts"] == {"patches": 66, "rejected": 2, "used": 64, "suggested": told["counts"]["suggested"]}
    assert used(folder) == set(review.files) - {review.files[0], review.files[5]}
    assert (folder / review.files[0]).is_file(), "the patch itself stays"
    review.decide({0: None})
    assert used(folder) == set(review.files) - {review.files[5]}
    assert len((folder / VERDICTS).read_text().splitlines()) == 2, "nothing is taken out of the file"


def test_several_people_one_after_another(folder: Path) -> None:
    Review(folder, "Ada").decide({3: True, 4: True})
    second = Review(folder, "Grace")
    told = second.decide({4: False})["verdicts"]
    assert {number: (verdict["rejected"], verdict["by"]) for number, verdict in told.items()} == {
        3: (True, "Ada"),
        4: (False, "Grace"),
    }
    assert all(verdict["at"].endswith("+00:00") for verdict in told.values())


def test_at_once_nothing_is_lost(folder: Path) -> None:
    reviews = [Review(folder, name) for name in ("Ada", "Grace", "Mary")]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda number: reviews[number % 3].decide({number: True}), range(40)))
    assert len(verdicts_of(folder)) == 40
    assert used(folder) == set(reviews[0].files[40:])


def test_a_line_that_a_kill_tore_is_passed_over(folder: Path) -> None:
    review = Review(folder, "Ada")
    review.decide({1: True})
    whole = (folder / VERDICTS).read_bytes()
    (folder / VERDICTS).write_bytes(whole + whole[: len(whole) // 2])
    assert set(verdicts_of(folder)) == {review.files[1]}
    review.decide({2: True})
    assert set(verdicts_of(folder)) == {review.files[1], review.files[2]}
    # the table, which a kill may have left behind the verdicts, follows when the page is opened again
    (folder / "labels.csv").write_text("file,label\n")
    Review(folder, "Ada")
    assert used(folder) == set(review.files) - {review.files[1], review.files[2]}


def test_suggestions_decide_nothing(folder: Path) -> None:
    review = Review(folder, "Ada")
    squares = [square for one in review.fields()["fields"] for square in one["squares"]]
    assert sum("id" not in square for square in squares) == 6, "background was not cut"
    patches = {square["id"]: square for square in squares if "id" in square}
    review.record["sources"][0]["patches"][1].update(tissue=0.03, sharpness=0.01)
    hinted = [square for one in review.fields()["fields"] for square in one["squares"] if square.get("hints")]
    assert [square["hints"] for square in hinted if square["id"] == 0] == [["low tissue", "blurred"]]
    assert used(folder) == set(review.files)
    assert set(patches) == set(range(66))
    before = review.verdicts()["counts"]["suggested"]
    assert review.decide({0: False})["counts"]["suggested"] == before - 1


def test_patches_that_there_are_not(folder: Path) -> None:
    review = Review(folder, "Ada")
    for said in ({66: True}, {-1: True}, {}):
        with pytest.raises(InputError, match="numbered from 0"):
            review.decide(said)
    assert review.patch(66) is None
    assert review.overview(6) is None
    assert verdicts_of(folder) == {}


def test_folders_that_were_not_cut(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["data", "cut", str(tmp_path)])
    assert result.exit_code == 2
    assert f"orch data patches DIR --output {tmp_path}" in result.output
    (tmp_path / "cut.json").write_text('{"version": 99}')
    with pytest.raises(InputError, match="another version"):
        read_record(tmp_path)


@pytest.mark.parametrize("name", ["cut.json", VERDICTS])
@pytest.mark.parametrize("harm", ["pipe", "device", "huge"])
def test_hostile_files_are_neither_waited_for_nor_taken_into_memory(folder: Path, name: str, harm: str) -> None:
    path = folder / name
    path.unlink(missing_ok=True)
    match harm:
        case "pipe":
            os.mkfifo(path)
        case "device":
            path.symlink_to("/dev/zero")
        case _:
            path.touch()
            os.truncate(path, 10 << 30)
    result = CliRunner().invoke(main, ["data", "cut", str(folder)])
    assert isinstance(result.exception, SystemExit), result.exception
    assert name in result.output


def test_lines_that_are_endlessly_deep_are_passed_over(folder: Path) -> None:
    review = Review(folder, "Ada")
    (folder / VERDICTS).write_bytes(b"[" * 100_000 + b"]" * 100_000 + b'\n{"set": ' + b'{"a":' * 100_000 + b"\n")
    review.decide({1: True})
    assert set(verdicts_of(folder)) == {review.files[1]}


@pytest.mark.parametrize(
    "change", [{"sources": 1}, {"sources": [{}]}, {"settings": {}}, {"columns": [1]}, {"sources": [{"patches": [1]}]}]
)
def test_a_record_of_other_content_is_told(folder: Path, change: dict[str, object]) -> None:
    record = read_record(folder)
    (folder / "cut.json").write_text(json.dumps({**record, **change}))
    with pytest.raises(DamagedRecordError, match="does not say how patches were cut"):
        read_record(folder)
