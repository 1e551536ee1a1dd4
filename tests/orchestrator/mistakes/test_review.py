"""A list to be reviewed is blind and the same again; verdicts make a new table that says what was changed, and why."""

from __future__ import annotations

import csv
import json
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner, Result

from orchestrator.command_line import main
from orchestrator.mistakes.cleaned import scores
from orchestrator.mistakes.review import FOLDER, MOST, ReviewList, list_id
from orchestrator.store import layout
from orchestrator.store.schema import StudyRecord, parse_model, parse_toml
from tests.support.gathered import random_gathered
from tests.support.predicted_study import predicted_study
from tests.support.trained_study import copy_trained_study, make_trained_study
from trainables.data.contents import COLUMN
from trainables.data.dataset import DatasetOptions, load_dataset
from trainables.data.manifest import manifest_bytes, read_manifest

CLASSES = ("few", "many")


def shuffled(manifest: pd.DataFrame, split: pd.Series[str]) -> pd.DataFrame:
    """A scanner of every image, and two of the valid images under the other label."""
    valid = manifest.index[split == "valid"]
    label = manifest["label"].copy()
    for row in (valid[0], valid[-1]):
        label[row] = CLASSES[1 - CLASSES.index(label[row])]
    return manifest.assign(label=label, user_scanner=["AB"[row % 2] for row in range(len(manifest))])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("trained")
    make_trained_study(root, CLASSES, change=shuffled)
    return root


@pytest.fixture
def studies(made: Path, tmp_path: Path) -> Path:
    copy_trained_study(made, tmp_path)
    return tmp_path / "studies"


def run(studies: Path, *arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["mistakes", "tiny", *map(str, arguments), "--studies", str(studies)])


def ok(studies: Path, *arguments: str | Path) -> str:
    result = run(studies, *arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def fill(path: Path, verdicts: dict[str, tuple[str, str]], other: str = "keep") -> None:
    """Write (verdict, why) of these images into a list, and one verdict for all others."""
    rows = rows_of(path)
    for row in rows:
        row["verdict"], row["why"] = verdicts.get(row["image"], (other, ""))
    pd.DataFrame(rows).to_csv(path, index=False)


def kept(studies: Path) -> ReviewList:
    (path,) = (studies / "tiny" / FOLDER).iterdir()
    return parse_model(ReviewList, path.read_bytes(), path.name)


def test_a_list_is_blind_and_half_of_it_is_drawn(studies: Path, tmp_path: Path) -> None:
    target = tmp_path / "list.csv"
    found = json.loads(ok(studies, "--review", target, "--json"))
    rows, listed = rows_of(target), kept(studies)
    assert list(rows[0]) == ["image", "label", "verdict", "why"]
    assert {row["verdict"] + row["why"] for row in rows} == {""}
    suspects = {row["file"] for row in found["suspects"]}
    assert suspects
    assert {row.file for row in listed.rows if row.suspected} == suspects
    judged = {row["file"]: row["label"] for row in found["images"]}
    assert {row["image"]: row["label"] for row in rows}.items() <= judged.items(), "validation images, as labelled"
    assert sum(not row.suspected for row in listed.rows) == min(len(suspects), len(judged) - len(suspects))
    assert [row.file for row in listed.rows] == [row["image"] for row in rows]
    assert listed.id == list_id((row["image"], row["label"]) for row in rows)
    first = [row.suspected for row in listed.rows]
    assert first not in (sorted(first), sorted(first, reverse=True)), "the order does not tell them apart"


def test_the_same_list_again_and_no_list_is_written_over(studies: Path, tmp_path: Path) -> None:
    ok(studies, "--review", tmp_path / "one.csv")
    ok(studies, "--review", tmp_path / "two.csv")
    assert (tmp_path / "one.csv").read_bytes() == (tmp_path / "two.csv").read_bytes()
    kept(studies)
    fill(tmp_path / "one.csv", {})
    filled = (tmp_path / "one.csv").read_bytes()
    result = run(studies, "--review", tmp_path / "one.csv")
    assert result.exit_code == 2
    assert "holds something else\nGive another --review" in result.stderr
    assert (tmp_path / "one.csv").read_bytes() == filled


def reviewed(studies: Path, folder: Path) -> tuple[dict[str, Any], list[str]]:
    """Relabel the first of a list and exclude the second; (what the command says, the two files)."""
    ok(studies, "--review", folder / "list.csv")
    rows = rows_of(folder / "list.csv")
    one, two = (row["image"] for row in rows[:2])
    new = CLASSES[1 - CLASSES.index(rows[0]["label"])]
    fill(folder / "list.csv", {one: (new.upper(), "a typo"), two: ("exclude", ""), rows[2]["image"]: ("", "")})
    said = ok(studies, "--reviewed", folder / "list.csv", "--output", folder / "new.csv", "--json")
    return json.loads(said), [one, two]


def test_a_new_table_says_what_was_changed_and_why(studies: Path, tmp_path: Path) -> None:
    said, (one, two) = reviewed(studies, tmp_path)
    manifest = read_manifest((studies / "tiny" / layout.MANIFEST).read_bytes()).set_index("file")
    table = pd.read_csv(tmp_path / "new.csv", dtype=str, keep_default_na=False).set_index("file")
    assert set(table.index) == set(manifest.index) - {two}
    same = table.index != one
    before = manifest.loc[table.index]
    assert (table["label"] == before["label"])[same].all()
    assert table.loc[one, "label"] != manifest.loc[one, "label"] == table.loc[one, "label_before"]
    assert table.loc[one, "review"] == "a typo"
    assert set(table.loc[same, "review"]) == {""}
    what = f"review {said['review']} of study tiny: 1 of {len(manifest)} images excluded, 1 relabelled"
    assert set(table["cleaned"]) == {what}, "whoever makes a study of it has it in every row"
    assert (table["scanner"] == before["user_scanner"]).all()
    assert (table[COLUMN] == before["content"]).all()
    assert (table["group"] == before["group"]).all()
    assert set(table["split"]) == {"train", "valid", "test"}
    assert {one, two}.isdisjoint(table.index[table["split"] == "test"])
    changes = rows_of(tmp_path / "new-changes.csv")
    assert [(row["file"], row["verdict"], row["why"]) for row in changes] == [
        (one, table.loc[one, "label"], "a typo"),
        (two, "excluded", "no reason given"),
    ]
    of = {row.file: "suspected" if row.suspected else "drawn at random" for row in kept(studies).rows}
    assert [row["listed_as"] for row in changes] == [of[one], of[two]]
    assert (said["excluded"], said["relabelled"]) == (1, 1)
    assert said["verdicts"] == said["rows"] - 1, "an empty verdict is none"
    parts = [said["suspected"], said["drawn_at_random"]]
    assert sum(part["changed"] for part in parts) == 2
    assert sum(part["verdicts"] for part in parts) == said["verdicts"]
    assert said["after"]["images"] == said["before"]["images"] - 1


def test_a_study_can_be_made_of_it(studies: Path, tmp_path: Path) -> None:
    """What is read by the options that are typed is what the table says; the notes come along."""
    said, (one, _) = reviewed(studies, tmp_path)
    typed = shlex.split(said["search"])
    assert typed[:5] == ["orch", "search", "NAME", "BACKBONE", "--data"]
    given = dict(zip(typed[4::2], typed[5::2], strict=True))
    columns = {name: given[f"--{name.replace('_', '-')}"] for name in ("file_column", "label_column", "split_column")}
    options = DatasetOptions(group_column=given["--group-column"], data_root=Path(given["--data-root"]), **columns)
    found = load_dataset(Path(given["--data"]), options).manifest.set_index("file")
    table = pd.read_csv(tmp_path / "new.csv", dtype=str, keep_default_na=False).set_index("file").loc[found.index]
    for column in ("label", "group", "split"):
        assert (found[column] == table[column]).all(), column
    assert found.loc[one, "user_review"] == "a typo"
    assert found["user_cleaned"].nunique() == 1


def test_a_second_review_keeps_what_the_first_noted(studies: Path, tmp_path: Path) -> None:
    path = studies / "tiny" / layout.MANIFEST
    manifest = read_manifest(path.read_bytes())
    noted = manifest.assign(user_label_before="", user_review="", user_cleaned="review 1")
    path.write_bytes(manifest_bytes(noted.astype(dict.fromkeys(["user_label_before", "user_review"], "str"))))
    reviewed(studies, tmp_path)
    table = pd.read_csv(tmp_path / "new.csv", dtype=str, keep_default_na=False)
    (cleaned,) = set(table["cleaned"])
    assert cleaned.startswith("review 1; review ")
    assert list(table.columns).count("cleaned") == 1


def test_nothing_is_written_where_nothing_changes(studies: Path, tmp_path: Path) -> None:
    ok(studies, "--review", tmp_path / "list.csv")
    fill(tmp_path / "list.csv", {})
    said = ok(studies, "--reviewed", tmp_path / "list.csv", "--output", tmp_path / "new.csv")
    assert "Every reviewed label is kept" in said
    assert sorted(path.name for path in tmp_path.glob("new*")) == []


def test_a_list_that_was_changed_is_refused(studies: Path, tmp_path: Path) -> None:
    target, output = tmp_path / "list.csv", tmp_path / "new.csv"
    ok(studies, "--review", target)
    fill(target, {})
    rows = rows_of(target)

    def refused(changed: list[dict[str, str]]) -> str:
        pd.DataFrame(changed).to_csv(target, index=False)
        result = run(studies, "--reviewed", target, "--output", output)
        assert result.exit_code == 2, result.output
        assert result.stdout == ""
        assert not output.exists()
        return result.stderr

    first = rows[0]
    assert f"1 row missing or changed ({first['image']} as {first['label']})" in refused(rows[1:])
    assert "1 row that it does not have" in refused([{**first, "label": "else"}, *rows[1:]])
    assert "rows that occur twice" in refused([first, *rows])
    assert f"{first['image']}: verdict 'manny'; did you mean 'many'?" in refused(
        [{**first, "verdict": "manny"}, *rows[1:]]
    )
    assert "no row has a verdict" in refused([{**row, "verdict": ""} for row in rows])
    assert "expected the columns image, label, verdict, found no verdict" in refused(
        [{"image": row["image"], "label": row["label"]} for row in rows]
    )
    target.unlink()
    result = run(studies, "--reviewed", target, "--output", output)
    assert "expected a file, found none" in result.stderr


def test_a_study_without_lists_says_so(studies: Path, tmp_path: Path) -> None:
    target = tmp_path / "list.csv"
    target.write_text("image,label,verdict\na.png,few,keep\n")
    result = run(studies, "--reviewed", target, "--output", tmp_path / "new.csv")
    assert result.exit_code == 2
    assert "study 'tiny' has not made a list for review" in result.stderr


@pytest.mark.parametrize("options", [["--reviewed", "x.csv"], ["--output", "x.csv"]])
def test_options_that_go_together(studies: Path, options: list[str]) -> None:
    result = run(studies, *options)
    assert result.exit_code == 2
    assert "go together" in result.stderr


def test_a_class_that_is_called_as_a_verdict(studies: Path, tmp_path: Path) -> None:
    storage, _ = predicted_study(tmp_path, "slides", classes=("exclude", "other"))
    result = CliRunner().invoke(
        main, ["mistakes", "slides", "--review", str(tmp_path / "l.csv"), "--studies", str(tmp_path)]
    )
    assert result.exit_code == 2
    assert "a class is called 'exclude', which is also a verdict" in result.stderr
    assert parse_toml(StudyRecord, storage.read(layout.STUDY), layout.STUDY).classes == ("exclude", "other")


def test_scores_before_and_after_count_the_labels_that_are_given() -> None:
    found = random_gathered(2, members=2)
    labels = dict(zip(found.images["file"], found.images["label"], strict=True))
    before = scores(found, labels)
    assert before.accuracy == pytest.approx((found.right[0] / found.trials).mean())
    by_class = [(found.right[0] / found.trials)[found.truth == k].mean() for k in range(3)]
    assert before.balanced == pytest.approx(sum(by_class) / 3)
    said = found.called[0].argmax(axis=1)
    right = {file: found.classes[k] for file, k in zip(labels, said, strict=True)}
    most = found.called[0].max(axis=1) / found.trials
    assert scores(found, right).accuracy == pytest.approx(most.mean())
    few = dict(list(labels.items())[:20])
    assert scores(found, few) == scores(replace(found), few)
    assert scores(found, few).images == 20
    assert MOST == 100
