"""A study's own file names a task and a metric that there are."""

from __future__ import annotations

import pytest

from orchestrator.store.errors import DamagedRecordError
from orchestrator.store.schema import StudyRecord
from search_spaces.stored import parse_study

STUDY = StudyRecord(
    name="slides",
    task="multiclass",
    classes=("a", "b", "c"),
    precision="fp32",
    selection="accuracy",
    group_meaning="folder",
    data_fingerprint="d" * 64,
    test_fingerprint="e" * 64,
    created="2026-03-01T12:00:00+00:00",
)


def test_a_study_comes_back() -> None:
    assert parse_study(STUDY.to_toml(), "study.toml") == STUDY


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("task", "multilabel", 'task: expected "binary" or "multiclass", found "multilabel"'),
        (
            "selection",
            "auc",
            '"loss", "accuracy", "balanced_accuracy", "macro_f1", "class_precision", "class_recall", '
            '"class_f1", "macro_auc" or "recall_at_precision", found "auc"',
        ),
    ],
)
def test_one_of_another_task_or_metric_is_told(key: str, value: str, said: str) -> None:
    with pytest.raises(DamagedRecordError) as caught:
        parse_study(STUDY.model_copy(update={key: value}).to_toml(), "study.toml")
    assert caught.value.message.startswith("study.toml is not a valid StudyRecord: ")
    assert caught.value.message.endswith(said)
