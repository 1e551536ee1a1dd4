"""Where each split is standardised by its own, that is said wherever scores or predictions are shown."""

from __future__ import annotations

import html
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from dashboards.page.page import render
from orchestrator.commands.export import predict
from orchestrator.evaluation.nested_plan import NestedOptions, make_nested_plan
from orchestrator.evaluation.plan import EvaluationOptions
from orchestrator.evaluation.run import evaluate
from orchestrator.evaluation.text import as_text
from orchestrator.export.model import Model
from orchestrator.leak.experiment import LeakOptions, memoriser
from orchestrator.results.reference_mode import NEW_IMAGES, reference_note
from orchestrator.store.errors import InputError
from search_spaces.settings.image import REFERENCE_MODE
from tests.support.configurations import configured
from tests.support.finished_study import FinishedStudy, exported, finished_study, valid_files

NOTE = f"{REFERENCE_MODE}, so the score of an image depends on the other images of its split; {NEW_IMAGES}"


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> FinishedStudy:
    return finished_study(tmp_path_factory.mktemp("own"), ("few", "many"), own={"standardisation": "each_split"})


def test_an_export_says_what_new_images_are_standardised_by(own: FinishedStudy, tmp_path: Path) -> None:
    found = exported(own, tmp_path / "model", "own", with_onnx=True)
    assert found.assembled.agreement.same == 1.0, "valid images are compared as they were scored"
    assert f"\n  {NOTE}\n" in found.as_text()
    card = (tmp_path / "model" / "MODEL_CARD.md").read_text()
    assert f"* Scores of this study are of the {NOTE}." in card
    assert "per channel (of the training split; in the study, each split by its own); nothing else" in card
    steps = Model.from_json((tmp_path / "model" / "model.json").read_bytes(), "model.json").preprocessing
    frozen = own.tiny.bench().frozen_ready(own.configurations["own"], own.tiny.partition)
    assert (steps.mean, steps.std, steps.standardisation) == (frozen.mean, frozen.std, "each_split")
    file = str(valid_files(own)[0])
    run = CliRunner().invoke(predict, [str(tmp_path / "model"), file])
    assert f"{REFERENCE_MODE}; {NEW_IMAGES}." in " ".join(run.stderr.split())
    command = [sys.executable, "-I", str(tmp_path / "model" / "predict.py"), file]
    assert NEW_IMAGES in subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stderr


def test_a_test_by_its_own_split_is_marked(own: FinishedStudy) -> None:
    record = evaluate(own.study, EvaluationOptions(), own.tiny.cache, lambda _: None, lambda *_: None)
    assert f"Note: {NOTE[0].upper()}{NOTE[1:]}." in as_text(record)


def test_the_page_says_it(own: FinishedStudy) -> None:
    page = html.unescape(render(own.study.storage, now="2026-03-01T12:00:00+00:00"))
    assert f"<b>Normalised</b> {NOTE}" in page


def test_folds_are_other_splits(own: FinishedStudy) -> None:
    with pytest.raises(
        InputError, match="normalises each split by its own mean and standard deviation, but the folds"
    ) as told:
        make_nested_plan(own.study, NestedOptions(3))
    assert told.value.advice.endswith("--set image.standardisation=train")


def test_the_leak_experiment_standardises_by_the_training_split() -> None:
    options = LeakOptions(Path("cache"))
    assert memoriser(configured(standardisation="each_split"), options).image.standardisation == "train"
    assert memoriser(configured(standardisation="half"), options).image.standardisation == "half"


def test_other_modes_are_not_marked() -> None:
    others = [configured(standardisation=by) for by in ("train", "half")]
    assert reference_note(others) == ""
    assert reference_note([*others, configured(standardisation="each_split")]) == NOTE
