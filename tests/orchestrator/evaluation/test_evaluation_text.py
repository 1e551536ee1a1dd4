"""What a reader of an evaluation sees: intervals or the reason for none, text, JSON, damaged files."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from orchestrator.command_line import main
from orchestrator.evaluation.levels import Asked, level
from orchestrator.evaluation.limits import LEAST_GROUPS
from orchestrator.evaluation.record import EvaluationRecord, read_evaluations
from orchestrator.evaluation.samples import Units
from orchestrator.evaluation.text import as_text
from orchestrator.store.errors import InputError
from tests.support.checkout import ROOT
from tests.support.evaluated_study import EvaluatedStudy
from tests.support.trained_study import NAME


def many_groups(groups: int, classes: int, per_group: int = 4) -> Units:
    draw = np.random.default_rng(groups)
    truth = np.repeat(np.arange(groups) % classes, per_group)
    chances = draw.dirichlet(np.ones(classes), size=(2, len(truth)))
    return Units(chances, truth, np.repeat(np.arange(groups), per_group), groups)


def test_intervals_need_groups_and_reasons_name_the_class() -> None:
    few = level(many_groups(2 * LEAST_GROUPS - 1, 2), Asked(("A", "B"), draws=50))
    assert few.overall["accuracy"].interval is None
    assert few.overall["accuracy"].reason == f"B: {LEAST_GROUPS - 1} test groups"
    own = few.classes[0].scores
    assert own["recall"].reason == "too few groups: the interval would be wider than 0.4", "it counts images of A alone"
    assert own["specificity"].reason == f"B: {LEAST_GROUPS - 1} test groups", "its specificity those of B"
    many = level(many_groups(8 * LEAST_GROUPS, 2), Asked(("A", "B"), draws=50))
    assert many.overall["accuracy"].interval is not None
    assert many.overall["accuracy"].interval.groups == 8 * LEAST_GROUPS
    assert many.overall["mcc"].interval is not None
    assert many.overall["mcc"].interval.draws == 50
    assert "biased upwards" in many.overall["calibration_error"].reason
    one = level(many_groups(8, 8), Asked(tuple("ABCDEFGH"), draws=50))
    assert one.overall["accuracy"].reason == "A: 1 test group, B: 1 test group, C: 1 test group, and 5 more classes"


def test_groups_of_several_classes_have_no_group_level() -> None:
    units = many_groups(6, 2)
    assert units.by_group() is not None
    mixed = Units(units.chances, units.truth, units.group // 2, 3)
    assert mixed.by_group() is None
    assert mixed.mixed_groups() == 3


def test_the_record_is_read_without_anything_heavy(evaluated: EvaluatedStudy) -> None:
    evaluated.evaluate(tta=None)
    code = f"""
import sys
from pathlib import Path
from orchestrator.evaluation.record import read_evaluations
from orchestrator.store.storage import LocalStorage
(record,) = read_evaluations(LocalStorage(Path({str(evaluated.study.place.path)!r})))
print(record.primary.image.overall["accuracy"].value, record.looked_at)
print([name for name in ("torch", "ray", "pandas", "scipy", "sklearn") if name in sys.modules])
"""
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert run.stdout.splitlines()[-1] == "[]", run.stdout + run.stderr
    assert "looked at once" in run.stdout


def test_damaged_evaluations_are_passed_over(evaluated: EvaluatedStudy) -> None:
    record = evaluated.evaluate(tta=None)
    evaluated.study.storage.replace("results/evaluation-0123456789ab.json", b"{torn")
    evaluated.study.storage.replace("results/looks/0123456789ab.json", b"{torn")
    assert read_evaluations(evaluated.study.storage) == [record]
    evaluated.study.storage.replace(record.predictions, b"torn")
    assert evaluated.evaluate(tta=None).estimates == record.estimates


def test_the_command_prints_a_table_or_json(evaluated: EvaluatedStudy) -> None:
    arguments = [
        NAME,
        "--studies",
        str(evaluated.study.place.parent.path),
        "--cache",
        str(evaluated.tiny.cache),
        "--tta",
        "none",
    ]
    told = CliRunner().invoke(main, ["evaluate", *arguments, "--by", "Site"])
    assert told.exit_code == 0, told.output
    for part in (
        "Primary estimate: mean over the repeats",
        "looked at once",
        "site = north",
        "few: 2 test groups",
        "mean over images",
        "mean over groups",
        "may be missing from 6 test groups",
    ):
        assert part in told.stdout, part
    assert "First look" in told.stderr
    data = CliRunner().invoke(main, ["evaluate", *arguments, "--json"])
    assert data.exit_code == 0
    record = EvaluationRecord.model_validate(json.loads(data.stdout))
    assert record == read_evaluations(evaluated.study.storage)[0]
    assert "no further look" in data.stderr
    wrong = CliRunner().invoke(main, ["evaluate", *arguments, "--by", "scanner"])
    assert wrong.exit_code == 2
    assert wrong.stdout == ""
    assert "Columns: site." in wrong.stderr


def test_reasons_stand_once_below_their_table(evaluated: EvaluatedStudy) -> None:
    text = as_text(evaluated.evaluate(tta=None))
    assert text.count("few: 2 test groups, many: 2 test groups, some: 2 test groups") == 2
    assert text.count(f"a class in this metric has fewer than {LEAST_GROUPS} test groups") == 3


def test_where_every_valid_image_is_right_no_temperature_is_to_be_relied_on(
    evaluated: EvaluatedStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any sharper one would do as well; a card gave log losses after a temperature of 0.02 without a word."""
    monkeypatch.setattr(Units, "predicted", property(lambda units: np.tile(units.truth, (len(units.chances), 1))))
    record = evaluated.evaluate(tta=None)
    every = f"{len(record.repeats)} of {len(record.repeats)} repeats classified every valid image correctly"
    assert any(note.startswith(every) for note in record.notes)


def test_outputs_that_are_no_numbers_are_refused_before_they_are_stored(
    evaluated: EvaluatedStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They would count as the first class, or end in a traceback at every further call."""

    def lost(_bench: object, _frozen: object, images: pd.DataFrame, *rest: object) -> np.ndarray:
        found = np.zeros((4, len(images), 1, len(evaluated.study.record.classes)))
        found[1, 2] = np.nan
        return found

    with monkeypatch.context() as patched:
        patched.setattr("orchestrator.evaluation.predicting.predict", lost)
        with pytest.raises(InputError, match="outputs are not finite for 1 of 10 test images, for instance"):
            evaluated.evaluate(tta=None)
    assert not read_evaluations(evaluated.study.storage)
    assert evaluated.evaluate(tta=None).looks == 1
