"""Images from elsewhere: a test set of their own, unseen, of the same classes."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from orchestrator.evaluation.external import External
from orchestrator.evaluation.record import read_evaluations
from orchestrator.evaluation.text import as_text
from orchestrator.store import layout
from orchestrator.store.errors import InputError
from tests.support.evaluated_study import EvaluatedStudy
from trainables.data.options import DatasetOptions


def external(folder: Path, classes: tuple[str, ...], groups: int = 6) -> Path:
    """Images like those of the study, of other slides, with a table."""
    draw = np.random.default_rng(99)
    rows = []
    for index, label in enumerate(classes):
        for number in range(2 * groups):
            file = f"{label}_{number}.png"
            pixels = draw.normal(100 + 12 * index, 30, size=(40, 40, 3)).clip(0, 255).astype(np.uint8)
            folder.mkdir(exist_ok=True)
            Image.fromarray(pixels).save(folder / file)
            rows.append((file, label, f"{label} {number // 2}", "old" if number % 4 else "new"))
    pd.DataFrame(rows, columns=["file", "label", "slide", "scanner"]).to_csv(folder / "labels.csv", index=False)
    return folder / "labels.csv"


def test_images_of_another_hospital(evaluated: EvaluatedStudy, tmp_path: Path) -> None:
    table = external(tmp_path / "other", evaluated.study.record.classes)
    own = evaluated.evaluate(tta=None)
    record = evaluated.evaluate(tta=None, external=External(table, DatasetOptions()), by=("scanner",))
    assert (record.external, record.images, record.groups) == ("labels.csv", 36, 18)
    assert record.group_meaning == "column slide of labels.csv"
    assert (record.number, record.looks) == (1, 1), "other images, another count"
    assert record.test_set != own.test_set
    assert record.primary.image.overall["accuracy"].reason == "too few groups: the interval would be wider than 0.4"
    assert [part.value for part in record.subgroups] == ["new", "old"]
    assert own.primary.temperature == record.primary.temperature, "fitted on the same valid images"
    assert "External images: labels.csv" in as_text(record)
    assert record.notes == own.notes, "nothing to remark"
    assert {found.external for found in read_evaluations(evaluated.study.storage)} == {"", "labels.csv"}


def test_external_classes_are_called_what_the_study_calls_them(evaluated: EvaluatedStudy, tmp_path: Path) -> None:
    study = evaluated.study
    rest = study.record.classes[1:]
    table = external(tmp_path / "other", ("theirs", *rest))
    with pytest.raises(InputError, match="unknown to the study: 'theirs'"):
        evaluated.evaluate(tta=None, external=External(table, DatasetOptions()))
    named = study.record.model_copy(update={"class_names": {"theirs": study.record.classes[0]}})
    study.storage.replace(layout.STUDY, named.to_toml())
    record = evaluated.evaluate(tta=None, external=External(table, DatasetOptions()))
    assert record.images == 36


def test_how_external_images_are_divided_does_not_matter(evaluated: EvaluatedStudy, tmp_path: Path) -> None:
    table = external(tmp_path / "other", evaluated.study.record.classes)
    rows = pd.read_csv(table)
    rows.assign(split="te", fold=1).to_csv(table, index=False)
    record = evaluated.evaluate(tta=None, external=External(table, DatasetOptions()))
    assert record.images == 36
    for number, row in enumerate(rows.itertuples()):
        place = tmp_path / "folders" / ("train", "Test_Set")[number % 2] / str(row.label)
        place.mkdir(parents=True, exist_ok=True)
        shutil.copy(tmp_path / "other" / str(row.file), place / str(row.file))
    options = DatasetOptions(group_by=r"([a-z]+_\d+)")
    record = evaluated.evaluate(tta=None, external=External(tmp_path / "folders", options))
    assert record.images == 36
    assert "The external images are divided into splits; all of them are tested." in record.notes


def test_groups_that_may_be_those_of_the_study_are_told(evaluated: EvaluatedStudy, tmp_path: Path) -> None:
    """Other images of a patient that was trained on are no test on other patients; names alone cannot tell."""
    table = external(tmp_path / "other", evaluated.study.record.classes)
    rows = pd.read_csv(table)
    splits = evaluated.tiny.groups()
    trained = next(group for group, split in splits.items() if split == "train")
    tested = next(group for group, split in splits.items() if split == "test")
    first, second = rows["slide"].unique()[:2]
    rows.replace({"slide": {first: trained, second: tested}}).to_csv(table, index=False)
    (tmp_path / "other" / "Doe_John.png").write_bytes(b"")
    with table.open("a") as file:
        file.write(f"Doe_John.png,{rows['label'].iloc[0]},{trained},new\n")
    record = evaluated.evaluate(tta=None, external=External(table, DatasetOptions()))
    (named,) = [note for note in record.notes if "the same name" in note]
    assert named.startswith("1 of the 18 external groups has the same name as a group that the study trained or")
    (refused,) = [note for note in record.notes if "not used" in note]
    assert refused == "1 external file is not used: empty file.", "the file's name would be in the model card"


def test_spellings_of_external_groups(evaluated: EvaluatedStudy, tmp_path: Path) -> None:
    """Joined where that is asked, compared with the study's without their spelling; patients' names stay on screen."""
    table = external(tmp_path / "other", evaluated.study.record.classes)
    rows = pd.read_csv(table)
    trained = next(group for group, split in evaluated.tiny.groups().items() if split == "train")
    slides = rows["slide"].unique()
    rows = rows.replace({"slide": {slides[0]: f" {trained.upper()} "}})
    rows.loc[rows.index[rows["slide"] == slides[1]][0], "slide"] = slides[1].upper()
    rows.to_csv(table, index=False)
    with pytest.raises(InputError, match="1 group is written in several ways"):
        evaluated.evaluate(external=External(table, DatasetOptions()))
    record = evaluated.evaluate(tta=None, external=External(table, DatasetOptions(join_groups=True)))
    assert record.group_meaning == "column slide of labels.csv, spellings joined"
    (note,) = [note for note in record.notes if "the same name" in note]
    assert slides[1].upper() not in " ".join(record.notes)
    assert note.startswith("1 of the 18 external groups has the same name as a group that the study trained or")


def test_external_images_must_be_unseen_and_of_the_same_classes(evaluated: EvaluatedStudy, tmp_path: Path) -> None:
    table = external(tmp_path / "other", evaluated.study.record.classes)
    trained = evaluated.manifest[evaluated.manifest["file"].str.contains("train")]["file"].iloc[0]
    shutil.copy(evaluated.tiny.data / trained, tmp_path / "other" / "few_0.png")
    with pytest.raises(InputError, match="the study trained or selected on 1 of these images, for instance"):
        evaluated.evaluate(external=External(table, DatasetOptions()))
    fewer = external(tmp_path / "fewer", evaluated.study.record.classes[:2])
    with pytest.raises(InputError, match="without images: 'some'"):
        evaluated.evaluate(external=External(fewer, DatasetOptions()))
    assert not (evaluated.study.place.path / "results").exists()
