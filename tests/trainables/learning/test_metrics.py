"""Scores agree with scikit-learn; the rule that picks an epoch does what the design says."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as reference

from orchestrator.store.schema import History, Metric
from search_spaces.settings.data import TASKS
from search_spaces.settings.selection import METRICS
from trainables.learning.metrics import images, is_loss, scores, selected_epoch, selection_scores
from trainables.learning.tasks.confusion import accuracy, balanced_accuracy, f1, macro_f1, precision, recall


@pytest.mark.parametrize("classes", [2, 5])
def test_scores_agree_with_scikit_learn(classes: int) -> None:
    generator = np.random.default_rng(0)
    truth, predicted = generator.integers(classes, size=(2, 300))
    predicted[:150] = truth[:150]
    confusion = reference.confusion_matrix(truth, predicted)
    assert accuracy(confusion) == pytest.approx(reference.accuracy_score(truth, predicted))
    assert balanced_accuracy(confusion) == pytest.approx(reference.balanced_accuracy_score(truth, predicted))
    assert macro_f1(confusion) == pytest.approx(reference.f1_score(truth, predicted, average="macro"))
    for mine, theirs in (
        (recall, reference.recall_score),
        (precision, reference.precision_score),
        (f1, reference.f1_score),
    ):
        assert mine(confusion) == pytest.approx(theirs(truth, predicted, average=None))


def test_classes_without_images_or_predictions() -> None:
    confusion = np.array([[3, 1, 0], [0, 0, 0], [2, 0, 0]])
    assert recall(confusion) == pytest.approx([0.75, np.nan, 0.0], nan_ok=True)
    assert precision(confusion) == pytest.approx([0.6, 0.0, 0.0])
    assert f1(confusion) == pytest.approx([2 / 3, 0.0, 0.0])
    assert balanced_accuracy(confusion) == pytest.approx(0.375)
    assert np.isnan(accuracy(np.zeros((2, 2), int)))


def test_leading_axes_are_kept() -> None:
    confusion = np.random.default_rng(1).integers(0, 9, size=(4, 2, 3, 3))
    for function in (accuracy, balanced_accuracy, macro_f1):
        found = function(confusion)
        assert found.shape == (4, 2)
        assert found[3, 1] == pytest.approx(float(function(confusion[3, 1])))
    assert f1(confusion).shape == (4, 2, 3)


def history(train: list[float], valid: list[float]) -> History:
    loss = np.array([train, valid]).T
    hits = (100 * np.array([train, valid])).astype(np.int32).T
    confusion = np.zeros((len(train), 2, 2, 2), dtype=np.int32)
    confusion[..., 0, 0], confusion[..., 0, 1] = hits, 100 - hits
    return History(("train", "valid"), loss, confusion)


@pytest.mark.parametrize(
    ("metric", "train", "valid", "alone", "expected"),
    [
        ("loss", [0.9, 0.5, 0.3, 0.1], [0.9, 0.6, 0.4, 0.8], False, 2),
        ("loss", [0.9, 0.8, 0.3], [0.9, 0.1, 0.5], False, 2),
        ("loss", [0.9, 0.8, 0.3], [0.9, 0.1, 0.5], True, 1),
        ("loss", [0.5, 0.5, 0.5], [0.5, 0.5, 0.5], False, 0),
        ("accuracy", [0.1, 0.9, 0.7, 0.8], [0.2, 0.5, 0.7, 0.6], False, 2),
        ("accuracy", [0.1, 0.4, 0.6], [0.2, 0.9, 0.7], False, 2),
        ("accuracy", [0.1, 0.4, 0.6], [0.2, 0.9, 0.7], True, 1),
        ("accuracy", [0.5, 0.9, 0.9], [0.5, 0.9, 0.9], False, 1),
    ],
)
def test_the_selected_epoch(metric: Metric, train: list[float], valid: list[float], alone: bool, expected: int) -> None:
    assert selected_epoch(metric, history(train, valid), alone) == expected


def test_an_epoch_that_is_not_finite_is_never_selected() -> None:
    for bad in (np.nan, np.inf):
        made = history([0.9, 0.1, 0.5], [0.9, 0.1, 0.5])
        made.loss[1, 0] = bad
        assert selected_epoch("loss", made, valid_alone=False) == 2
        assert selection_scores("loss", made, valid_alone=False)[1] == -np.inf
        assert selected_epoch("loss", made) == 1
        made.loss[1, 1] = bad
        assert selected_epoch("loss", made) == 2


def test_the_order_of_splits_does_not_matter() -> None:
    made = history([0.9, 0.8, 0.3], [0.9, 0.1, 0.5])
    turned = History(("valid", "train"), made.loss[:, ::-1], made.statistics[:, ::-1])
    for alone in (False, True):
        assert selected_epoch("loss", turned, alone) == selected_epoch("loss", made, alone)
    assert scores("macro_f1", made.loss, made.statistics).shape == (3, 2)


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_of_a_task_with_classes_four_metrics_are_counted(task: str) -> None:
    made = history([0.9, 0.8], [0.7, 0.6])
    assert TASKS.variants[task].metrics == METRICS.names
    assert TASKS.variants[task].counted == ("loss", "accuracy", "balanced_accuracy", "macro_f1")
    found = {name: scores(name, made.loss, made.statistics) for name in TASKS.variants[task].counted}
    assert found["loss"].tolist() == made.loss.tolist()
    for name, function in (("accuracy", accuracy), ("balanced_accuracy", balanced_accuracy), ("macro_f1", macro_f1)):
        assert found[name].tolist() == function(made.statistics).tolist()
    assert [name for name in found if is_loss(name)] == ["loss"]
    assert images(task, made.statistics).tolist() == [[100, 100], [100, 100]]
