"""Measured metrics against scikit-learn, whatever is equal, absent or never said."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn import metrics as reference

from search_spaces.settings.selection import METRICS
from tests.support.configurations import configured
from trainables.learning.tasks.confusion import Floats, counted
from trainables.learning.tasks.measured import Outputs, measured_by

NAMES = ("few", "many", "some", "rest")


def outputs_of(logits: torch.Tensor, labels: np.ndarray, **settings: object) -> Outputs:
    classes = NAMES[: max(2, logits.shape[-1])]
    task = "binary" if logits.shape[-1] == 1 else "multiclass"
    predicted = (logits[..., 0] > 0).long() if task == "binary" else logits.argmax(dim=-1)
    counts = counted(labels, predicted.numpy(), len(classes))
    return Outputs(configured(task=task, classes=classes, **settings), logits, labels, counts)


def found_by(outputs: Outputs) -> Floats:
    found = measured_by(outputs)
    assert found is not None
    assert found.dtype == np.float64
    assert found.shape == (len(outputs.logits),)
    return found


def drawn(outputs: int, images: int = 60, lanes: int = 5, steps: int = 0) -> tuple[torch.Tensor, np.ndarray]:
    """Logits better than chance; of so few different values that many are equal where steps are given."""
    draw = np.random.default_rng(outputs)
    labels = draw.integers(0, max(2, outputs), images)
    truth = labels[:, None] if outputs == 1 else np.eye(outputs)[labels]
    logits = 2 * truth - 1 + 1.5 * draw.normal(size=(lanes, images, outputs))
    if steps:
        logits = np.round(logits * steps) / steps
    return torch.from_numpy(logits).float(), labels


def probabilities(logits: torch.Tensor) -> np.ndarray:
    """float64 [lanes, N, K]"""
    wide = torch.cat([torch.zeros_like(logits), logits], dim=-1) if logits.shape[-1] == 1 else logits
    return wide.double().softmax(dim=-1).numpy()


@pytest.mark.parametrize("outputs", [1, 3, 4])
@pytest.mark.parametrize("of_class", [0, 1])
@pytest.mark.parametrize("metric", ["class_precision", "class_recall", "class_f1"])
def test_metrics_of_one_class(outputs: int, of_class: int, metric: str) -> None:
    logits, labels = drawn(outputs)
    found = found_by(outputs_of(logits, labels, selection=metric, of_class=NAMES[of_class]))
    score = {"class_precision": reference.precision_score, "class_recall": reference.recall_score}
    for lane, chances in enumerate(probabilities(logits)):
        of = score.get(metric, reference.f1_score)
        expected = of(labels == of_class, chances.argmax(axis=1) == of_class)
        assert found[lane] == pytest.approx(expected, abs=1e-12)


def test_a_class_that_is_never_said_or_does_not_occur() -> None:
    logits, labels = torch.tensor([[[5.0, 0.0, 0.0], [0.0, 5.0, 0.0]]]), np.array([0, 2])

    def of(metric: str, name: str) -> float:
        return float(found_by(outputs_of(logits, labels, selection=metric, of_class=name))[0])

    assert [of(metric, "some") for metric in ("class_precision", "class_recall", "class_f1")] == [0, 0, 0]
    assert np.isnan(of("class_recall", "many"))
    assert of("class_precision", "many") == 0


@pytest.mark.parametrize("outputs", [1, 3, 4])
@pytest.mark.parametrize("steps", [0, 1, 4])
def test_the_macro_area_is_scikit_learns_with_ties_or_without(outputs: int, steps: int) -> None:
    logits, labels = drawn(outputs, steps=steps)
    found = found_by(outputs_of(logits, labels, selection="macro_auc"))
    for lane, chances in enumerate(probabilities(logits)):
        if outputs == 1:
            expected = reference.roc_auc_score(labels, chances[:, 1])
        else:
            expected = reference.roc_auc_score(labels, chances, multi_class="ovr", average="macro")
        assert found[lane] == pytest.approx(expected, abs=1e-12)
    assert len(set(found.tolist())) > 1


def test_the_macro_area_is_of_classes_that_occur() -> None:
    logits, labels = drawn(4)
    labels = np.where(labels == 3, 1, labels)
    found = found_by(outputs_of(logits, labels, selection="macro_auc"))
    for lane, chances in enumerate(probabilities(logits)):
        each = [reference.roc_auc_score(labels == k, chances[:, k]) for k in range(3)]
        assert found[lane] == pytest.approx(np.mean(each), abs=1e-12)
    alone = found_by(outputs_of(logits, np.zeros_like(labels), selection="macro_auc"))
    assert np.isnan(alone).all()


def test_lanes_that_say_the_same_of_all_are_worth_a_half() -> None:
    logits, labels = torch.zeros(2, 7, 3), np.array([0, 1, 2, 0, 1, 2, 0])
    assert found_by(outputs_of(logits, labels, selection="macro_auc")).tolist() == [0.5, 0.5]


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("of_class", [0, 1])
@pytest.mark.parametrize("steps", [0, 1, 4])
@pytest.mark.parametrize("precision", [0.3, 0.6, 0.9, 1.0])
def test_recall_at_a_precision_is_of_scikit_learns_curve(
    outputs: int, of_class: int, steps: int, precision: float
) -> None:
    logits, labels = drawn(outputs, steps=steps)
    settings = {"of_class": NAMES[of_class], "selection.precision": precision}
    found = found_by(outputs_of(logits, labels, selection="recall_at_precision", **settings))
    for lane, chances in enumerate(probabilities(logits)):
        there, recall, _ = reference.precision_recall_curve(labels == of_class, chances[:, of_class])
        assert found[lane] == pytest.approx(recall[there >= precision].max(), abs=1e-12)


def test_a_precision_that_is_never_reached_is_worth_nothing() -> None:
    logits, labels = torch.tensor([[[3.0], [2.0], [1.0]], [[1.0], [2.0], [3.0]]]), np.array([0, 0, 1])
    for precision, expected in ((0.9, [0.0, 1.0]), (0.3, [1.0, 1.0])):
        settings = {"of_class": "many", "selection.precision": precision}
        found = found_by(outputs_of(logits, labels, selection="recall_at_precision", **settings))
        assert found.tolist() == expected
    none = outputs_of(logits, np.zeros_like(labels), selection="recall_at_precision", of_class="many")
    assert np.isnan(found_by(none)).all()


@pytest.mark.parametrize("metric", METRICS.names)
def test_what_is_counted_is_not_measured(metric: str) -> None:
    logits, labels = drawn(3)
    found = measured_by(outputs_of(logits, labels, selection=metric, of_class="few"))
    assert (found is not None) == METRICS.variants[metric].is_measured
