"""One evaluation: which configuration, what it opens, what is kept, what bad input is told."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from orchestrator.evaluation.record import read_evaluations
from orchestrator.evaluation.text import as_text
from orchestrator.results.summary import summarise
from orchestrator.store import layout
from orchestrator.store.errors import InputError
from tests.support.evaluated_study import EvaluatedStudy
from tests.support.trained_study import make_trained_study
from trainables.bundles.kept_weights import in_partition


def test_the_best_configuration_is_evaluated_and_the_record_says_how(evaluated: EvaluatedStudy) -> None:
    record = evaluated.evaluate()
    assert record.configuration == evaluated.ranked[0]
    assert record.repeats == (0, 1, 2)
    assert record.images == 10
    assert record.groups == evaluated.manifest[evaluated.manifest["file"].str.contains("test")]["group"].nunique()
    assert (record.number, record.looks, record.first) == (1, 1, "")
    assert record.deviation == 0.0
    primary = record.primary
    assert (primary.views, primary.ensemble, primary.image.count) == (1, False, 10)
    assert [e.name for e in record.estimates if not e.is_primary] == [
        "ensemble of the repeats",
        "single models, mean over 8 views (dihedral)",
        "ensemble of the repeats, mean over 8 views (dihedral)",
    ]
    assert read_evaluations(evaluated.study.storage) == [record]
    assert "First look at 10 test images" in " ".join(evaluated.said)
    assert any(
        one.startswith("The weights of 3 repeats were not kept. They are trained again from") for one in evaluated.said
    )


def test_scores_are_those_of_the_predictions(evaluated: EvaluatedStudy) -> None:
    record = evaluated.evaluate()
    table = pd.read_parquet(io.BytesIO(evaluated.study.storage.read(record.predictions)))
    assert len(table) == 3 * 10 * 8
    upright = table[table["view"] == 0]
    right = upright["predicted"] == upright["label"]
    accuracy = right.groupby(upright["repeat"]).mean()
    found = record.primary.image.overall["accuracy"]
    assert found.value == pytest.approx(accuracy.mean())
    assert found.std == pytest.approx(accuracy.std())
    assert found.each == pytest.approx(tuple(accuracy))
    for one in record.primary.image.classes:
        of_class = upright[upright["label"] == one.name]
        recall = (of_class["predicted"] == of_class["label"]).groupby(of_class["repeat"]).mean()
        assert one.scores["recall"].each == pytest.approx(tuple(recall))
    chances = [f"probability {name}" for name in record.classes]
    assert np.allclose(table[chances].sum(axis=1), 1.0)
    together = upright.groupby("file")[chances].mean()
    truth = upright.groupby("file")["label"].first()
    predicted = np.array(record.classes)[together.to_numpy().argmax(axis=1)]
    ensemble = next(e for e in record.estimates if e.ensemble and e.views == 1)
    assert ensemble.image.overall["accuracy"].value == pytest.approx((predicted == truth).mean())
    assert ensemble.image.overall["accuracy"].each == (ensemble.image.overall["accuracy"].value,)
    counts = np.array(record.primary.image.confusion)
    assert counts.shape == (3, 3, 3)
    assert counts.sum() == 30
    assert counts.trace(axis1=1, axis2=2).sum() == right.sum()
    by_group = upright.groupby(["repeat", "group"])[chances].mean()
    assert record.primary.group is not None
    assert record.primary.group.count == by_group.index.get_level_values("group").nunique()


def test_views_that_are_asked_for_later_come_from_kept_weights(
    evaluated: EvaluatedStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = evaluated.evaluate(tta=None)
    assert len(before.estimates) == 2
    monkeypatch.setattr("trainables.bundles.trained.open_group", lambda *_: pytest.fail("trained again"))
    after = evaluated.evaluate()
    assert len(after.estimates) == 4
    assert (after.number, after.looks, after.deviation) == (1, 1, 0.0)
    assert after.primary == before.primary
    assert len(evaluated.evaluate(tta=None).estimates) == 4, "what was predicted stays"


def test_weights_are_kept_within_the_budget(evaluated: EvaluatedStudy) -> None:
    evaluated.evaluate(tta=None)
    kept = in_partition(evaluated.study.storage, evaluated.tiny.partition)
    assert {k.key.configuration for k in kept} == {evaluated.ranked[0]}
    assert [k.repeat for k in kept] == [0, 1, 2]
    size = sum(k.bytes for k in kept)
    evaluated.evaluate(configuration=evaluated.ranked[1], tta=None, keep_bytes=size + 10)
    kept = in_partition(evaluated.study.storage, evaluated.tiny.partition)
    assert {k.key.configuration for k in kept} == {evaluated.ranked[1]}


def test_without_a_budget_no_weights_are_kept(evaluated: EvaluatedStudy) -> None:
    evaluated.evaluate(tta=None, keep_bytes=0)
    assert in_partition(evaluated.study.storage, evaluated.tiny.partition) == []


def test_training_needs_no_test_image(tmp_path: Path) -> None:
    """Test files are removed before anything is trained; only the evaluation misses them."""

    def without_test_files(manifest: pd.DataFrame, split: pd.Series[str]) -> pd.DataFrame:
        for file in manifest.loc[split == "test", "file"]:
            (tmp_path / "made" / "images" / file).unlink()
        return manifest

    study, tiny, configurations = make_trained_study(tmp_path, repeats=2, change=without_test_files)
    assert [entry.n for entry in summarise(study.storage).configurations] == [2, 2]
    with pytest.raises(InputError, match="missing"):
        EvaluatedStudy(study, tiny, configurations).evaluate()
    assert not (study.place.path / "results").exists()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"configuration": "zzz"}, "0 match"),
        ({"configuration": ""}, "2 match"),
        ({"partition": "zzz"}, "expected the beginning of exactly one partition id, 0 match"),
        ({"at": ("specificity=95%",), "at_class": "few"}, "expected specificity=SHARE"),
        ({"at": ("specificity=1.2",), "at_class": "few"}, "above 0 and up to 1"),
        ({"at": ("specificity=0.9",)}, "expected --class NAME as well, since none of the 3 classes"),
        ({"at": ("specificity=0.9",), "at_class": "nobody"}, "expected a class of the study"),
        ({"at_class": "few"}, "expected --at as well"),
        ({"by": ("scanner",)}, "expected a column of the study's table"),
        ({"data_root": Path("/nowhere")}, "expected a folder /nowhere"),
    ],
)
def test_bad_input_is_told_before_anything_is_opened(
    evaluated: EvaluatedStudy, options: dict[str, object], told: str
) -> None:
    with pytest.raises(InputError, match=told):
        evaluated.evaluate(**options)
    assert not (evaluated.study.place.path / "results").exists()


def test_nothing_finished_and_no_test_split_are_plain_sentences(evaluated: EvaluatedStudy) -> None:
    groups = {group: "valid" if split == "test" else split for group, split in evaluated.tiny.groups().items()}
    partition = evaluated.tiny.add_partition(groups)
    (evaluated.study.place.path / layout.BUNDLES / evaluated.tiny.partition).rename(
        evaluated.study.place.path / layout.BUNDLES / partition
    )
    with pytest.raises(InputError, match="no configuration has finished all its repeats yet"):
        evaluated.evaluate(partition=evaluated.tiny.partition)
    with pytest.raises(InputError, match="has no test images"):
        evaluated.evaluate(partition=partition, configuration=evaluated.ranked[0])


def test_a_diverged_repeat_counts_untrained_and_is_named(tmp_path: Path) -> None:
    settings: tuple[dict[str, object], ...] = ({"lr": 1e30, "non_linearities": 1},)
    study, tiny, configurations = make_trained_study(tmp_path, repeats=2, settings=settings)
    record = EvaluatedStudy(study, tiny, configurations).evaluate(tta=None)
    assert record.diverged == (0, 1)
    assert record.selected_epochs == (0, 0)
    assert "2 of 2 repeats diverged" in as_text(record)
