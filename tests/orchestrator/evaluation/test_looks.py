"""Looks at test images: written before, counted by image over studies, and never twice for the same model."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from orchestrator.evaluation.looks import REGISTRY, looks_at, short_hashes
from orchestrator.evaluation.text import as_text
from orchestrator.store import layout
from orchestrator.store.storage import LocalStorage
from orchestrator.study.studies import open_study
from tests.support.evaluated_study import EvaluatedStudy
from tests.support.trained_study import NAME


def test_the_same_model_again_is_no_further_look_and_opens_nothing(
    evaluated: EvaluatedStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = evaluated.evaluate()
    monkeypatch.setattr("orchestrator.evaluation.predicting.predict", lambda *_: pytest.fail("opened the test images"))
    monkeypatch.setattr("orchestrator.evaluation.run.trained", lambda *_: pytest.fail("trained again"))
    after = evaluated.evaluate(at=("specificity=0.8",), at_class="few", by=("site",))
    assert after.estimates == before.estimates
    assert (after.number, after.looks) == (1, 1)
    assert [point.asked for point in after.operating_points] == ["specificity=0.8"]
    assert [part.value for part in after.subgroups] == ["north", "south"]
    again = evaluated.evaluate(at=("sensitivity=1",), at_class="many")
    assert [point.asked for point in again.operating_points] == ["specificity=0.8", "sensitivity=1"]
    assert len(again.subgroups) == 2


def test_another_configuration_is_another_look_and_says_so(evaluated: EvaluatedStudy) -> None:
    first = evaluated.evaluate(tta=None)
    second = evaluated.evaluate(configuration=evaluated.ranked[1], tta=None)
    assert (second.number, second.looks) == (2, 2)
    assert first.name in second.first
    assert "looked at 2 times" in as_text(second)
    assert "Look 2 at 10 test images" in " ".join(evaluated.said)
    assert second.chosen == "named by the user, place 2 of 2 by mean loss (valid)"
    assert evaluated.evaluate(tta=None).looks == 2, "the first record is brought up to date"


def test_looks_are_found_by_image_in_other_studies_and_in_copies(evaluated: EvaluatedStudy, tmp_path: Path) -> None:
    evaluated.evaluate(tta=None)
    other = evaluated.study.place.parent.path / "other"
    shutil.copytree(evaluated.study.place.path, other)
    shutil.rmtree(other / "results")
    renamed = evaluated.study.record.model_copy(update={"name": "other"})
    LocalStorage(other).replace(layout.STUDY, renamed.to_toml())
    study = EvaluatedStudy(open_study(other.parent, "other"), evaluated.tiny, evaluated.configurations)
    found = study.evaluate(configuration=evaluated.ranked[1], tta=None)
    assert found.number == 2
    assert "of study tiny" in found.first
    alone = tmp_path / "elsewhere" / NAME
    shutil.copytree(evaluated.study.place.path, alone)
    copy = EvaluatedStudy(open_study(alone.parent, NAME), evaluated.tiny, evaluated.configurations)
    assert copy.evaluate(configuration=evaluated.ranked[1], tta=None).number == 2


def test_any_shared_image_makes_it_a_look(evaluated: EvaluatedStudy) -> None:
    evaluated.evaluate(tta=None)
    manifest = evaluated.manifest
    test = manifest[manifest["file"].str.contains("test")]["content"]
    other = manifest[manifest["file"].str.contains("train")]["content"]
    beside = LocalStorage(evaluated.study.place.parent.path)
    assert len(looks_at(evaluated.study.storage, beside, short_hashes([*other, test.iloc[0]]))) == 1
    assert looks_at(evaluated.study.storage, beside, short_hashes(other)) == []


def test_a_look_is_written_before_the_images_are_opened(
    evaluated: EvaluatedStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    def power_cut(*_: object) -> np.ndarray:
        looks = evaluated.study.storage.list("results/looks")
        assert len(looks) == 1
        noted = json.loads(evaluated.study.storage.read(f"results/looks/{looks[0]}"))
        assert noted["configuration"] == evaluated.ranked[0]
        assert noted["primary"] == "mean over the repeats, single models, no test-time augmentation"
        assert LocalStorage(evaluated.study.place.parent.path).list(REGISTRY) == looks
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("orchestrator.evaluation.predicting.predict", power_cut)
        with pytest.raises(KeyboardInterrupt):
            evaluated.evaluate()
    assert evaluated.evaluate().looks == 1, "the same look goes on"
