"""Kept predictions of a study that was really trained say what its histories say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from orchestrator.choosing.kept_predictions import read_predictions, valid_images
from orchestrator.results.summary import summarise
from orchestrator.statistics.bias_corrected import bias_corrected
from orchestrator.statistics.score_table import ranked_table
from orchestrator.store import layout
from orchestrator.store.schema import StudyRecord
from tests.support.asked import Item, ask
from tests.support.tiny_study import TinyStudy, make_tiny_study


def made_study(folder: Path, classes: tuple[str, ...], rule: str) -> TinyStudy:
    """Two learning rates, three repeats and four epochs each, with everything a summary reads."""
    study = make_tiny_study(folder, classes)
    record = StudyRecord(
        name="tiny",
        task="binary" if len(classes) == 2 else "multiclass",
        classes=classes,
        precision="fp32",
        group_meaning="folder",
        data_fingerprint=study.fingerprint,
        test_fingerprint="e" * 64,
        partition=study.partition,
        created="2026-03-01T12:00:00+00:00",
    )
    study.storage.create(layout.STUDY, record.to_toml())
    configurations = [study.configuration(lr=lr, rule=rule) for lr in (0.002, 0.01)]
    bench = study.bench()
    for configuration in configurations:
        study.train(configuration, (0, 1, 2), 4, bench)
    ask(study.storage, (study.partition,), [Item(c.id, 3, 4) for c in configurations])
    return study


@pytest.mark.parametrize("classes", [("few", "many"), ("few", "many", "some")])
@pytest.mark.parametrize("rule", ["valid", "worse_of_both"])
def test_they_give_the_scores_of_the_selected_epochs(tmp_path: Path, classes: tuple[str, ...], rule: str) -> None:
    study = made_study(tmp_path, classes, rule)
    summary = summarise(study.storage)
    table = ranked_table(summary, study.partition, "loss")
    assert len(table.members) == 2
    kept = read_predictions(study.storage, summary, table)
    assert kept is not None
    assert (kept.members, kept.other_epochs) == ((0, 1), 0)
    of = kept.predictions
    for row, member in enumerate(table.members):
        loss, accuracy = member.score("loss", "valid"), member.score("accuracy", "valid")
        assert loss is not None
        assert accuracy is not None
        assert of.losses[row].mean(axis=1) == pytest.approx(loss.values, abs=1e-3)
        assert (of.predicted[row] == of.truth).mean(axis=1) == pytest.approx(accuracy.values)
        train = member.score("loss", "train")
        assert train is not None
        if rule == "valid":
            assert np.isnan(of.train[row]).all(), "nothing of train compares"
        else:
            assert np.array_equal(of.train[row], train.values)
    found = bias_corrected(of, 0, "loss", rounds=50)
    assert found is not None
    assert found.plain["loss"] == pytest.approx(table.members[0].score("loss", "valid").mean, abs=1e-3)  # type: ignore[union-attr]


def test_the_test_split_is_not_among_the_images(tmp_path: Path) -> None:
    study = make_tiny_study(tmp_path)
    images = valid_images(study.storage, study.partition, study.classes)
    assert all("-valid-" in group for group in images.groups)
    assert np.bincount(images.truth).tolist() == [4, 8]
    assert images.group.max() + 1 == len(images.groups)
