"""Averages and scores of ensembles against scikit-learn and plain numpy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import log_softmax, softmax
from sklearn import metrics as reference
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import VotingClassifier

from orchestrator.ensembles.combining import LOGITS, PROBABILITIES, VOTES, wide
from orchestrator.ensembles.problem import Problem
from orchestrator.store.errors import InputError
from tests.support.candidates import CLASSES, configuration, drawn, target
from trainables.learning.tasks.measured import Outputs, measured_by

WEIGHTS = np.array([0.5, 0.3, 0.2])


class Fixed(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Says of row i of its table what stands there."""

    def __init__(self, chances: np.ndarray) -> None:
        self.chances = chances

    def fit(self, rows: np.ndarray, truth: np.ndarray) -> Fixed:
        self.classes_ = np.unique(truth)
        return self

    def predict_proba(self, rows: np.ndarray) -> np.ndarray:
        found: np.ndarray = self.chances[rows[:, 0]]
        return found

    def predict(self, rows: np.ndarray) -> np.ndarray:
        return self.predict_proba(rows).argmax(axis=1)


def logits() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(3, 40, 3))


@pytest.mark.parametrize(("voting", "combining"), [("soft", PROBABILITIES), ("hard", VOTES)])
def test_probabilities_and_votes_are_those_of_scikit_learn(voting: str, combining: object) -> None:
    several, rows = logits(), np.arange(40)[:, None]
    models = [(str(i), Fixed(softmax(one, axis=-1))) for i, one in enumerate(several)]
    ensemble = VotingClassifier(models, voting=voting, weights=WEIGHTS).fit(rows, np.arange(40) % 3)
    mean = combining.chances(np.tensordot(WEIGHTS, combining.values(several), axes=1))  # type: ignore[attr-defined]
    assert np.array_equal(mean.argmax(axis=-1), ensemble.predict(rows))
    if voting == "soft":
        assert mean == pytest.approx(ensemble.predict_proba(rows))


def test_logits_are_averaged_whatever_their_height() -> None:
    several = logits()
    wanted = softmax(np.average(several, axis=0, weights=WEIGHTS), axis=-1)
    found = LOGITS.chances(np.tensordot(WEIGHTS, LOGITS.values(several), axes=1))
    assert found == pytest.approx(wanted)
    shifted = LOGITS.values(several + 100 * np.arange(3)[:, None, None])
    assert LOGITS.chances(np.tensordot(WEIGHTS, shifted, axes=1)) == pytest.approx(wanted)


def test_the_logit_of_a_binary_task_is_that_of_the_second_class() -> None:
    one = np.array([[-1.0], [2.0]], dtype=np.float16)
    assert PROBABILITIES.values(wide(one))[:, 1] == pytest.approx(1 / (1 + np.exp([1.0, -2.0])))


def test_every_metric_on_images_that_count_several_times_or_not_at_all() -> None:
    draw = np.random.default_rng(1)
    truth, often = draw.integers(0, 3, 60), draw.integers(0, 4, 60)
    chances = softmax(draw.normal(size=(2, 60, 3)) + np.eye(3)[truth], axis=-1)
    rows = np.repeat(np.arange(60), often)
    wanted = {
        "loss": [reference.log_loss(truth[rows], one[rows], labels=[0, 1, 2]) for one in chances],
        "accuracy": [reference.accuracy_score(truth[rows], one[rows].argmax(1)) for one in chances],
        "balanced_accuracy": [reference.balanced_accuracy_score(truth[rows], one[rows].argmax(1)) for one in chances],
        "macro_f1": [reference.f1_score(truth[rows], one[rows].argmax(1), average="macro") for one in chances],
        "class_precision": [
            reference.precision_score(truth[rows] == 1, one[rows].argmax(1) == 1, zero_division=0) for one in chances
        ],
        "class_recall": [reference.recall_score(truth[rows] == 1, one[rows].argmax(1) == 1) for one in chances],
        "class_f1": [reference.f1_score(truth[rows] == 1, one[rows].argmax(1) == 1) for one in chances],
        "macro_auc": [reference.roc_auc_score(truth[rows], one[rows], multi_class="ovr") for one in chances],
    }
    for metric, values in wanted.items():
        of = target(metric, "b" if metric.startswith("class_") else None)
        assert of.scores(chances, truth, often) == pytest.approx(values, abs=1e-12), metric
        assert of.scores(chances[:, rows], truth[rows]) == pytest.approx(values, abs=1e-12), metric


def test_a_recall_at_a_precision_is_that_of_training() -> None:
    import torch

    of, draw = target("recall_at_precision", "c", 0.6), np.random.default_rng(2)
    truth, raw = draw.integers(0, 3, 50), draw.normal(size=(2, 50, 3))
    outputs = Outputs(of.configuration, torch.from_numpy(raw), truth, np.zeros((2, 3, 3)))
    assert of.scores(softmax(raw, axis=-1), truth) == pytest.approx(measured_by(outputs))


def test_a_loss_is_better_where_it_is_smaller_and_what_is_undefined_is_worst() -> None:
    assert target("loss").better(np.array([1.0, np.nan])).tolist() == [-1.0, -np.inf]
    assert target("accuracy").better(np.array([1.0, np.nan])).tolist() == [1.0, -np.inf]


def test_a_problem_in_parts_is_the_problem_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    of = drawn(3)
    members = LOGITS.values(of.logits.astype(np.float64)).mean(axis=1)
    problem = Problem(members, of.truth, np.ones(len(of.truth), dtype=np.int64), LOGITS, target("loss"), 0)
    weights = np.random.default_rng(0).dirichlet(np.ones(4), size=50)
    whole = problem.goodness(weights)
    monkeypatch.setattr("orchestrator.ensembles.problem.AT_A_TIME", 400)
    assert problem.goodness(weights) == pytest.approx(whole, abs=1e-12)
    by_hand = -log_softmax(np.tensordot(weights, members, axes=1), axis=-1)[:, np.arange(60), of.truth].mean(axis=1)
    assert whole == pytest.approx(-by_hand)


@pytest.mark.parametrize(
    ("metric", "of_class", "precision", "told"),
    [
        ("class_precision", None, None, "expected --class with one of a, b, c, found none"),
        ("class_recall", "B2", None, "found 'B2'"),
        ("loss", "a", None, "--class a: expected a --metric of one class as well, found loss"),
        ("accuracy", None, 0.9, "--precision 0.9: expected --metric recall_at_precision as well, found accuracy"),
    ],
)
def test_a_metric_that_is_asked_for_wrongly(
    metric: str, of_class: str | None, precision: float | None, told: str
) -> None:
    with pytest.raises(InputError, match=told):
        target(metric, of_class, precision)


def test_a_class_is_the_configurations_own_where_it_selects_by_one() -> None:
    from orchestrator.ensembles.target import target_of

    like = configuration().with_values({"selection.metric": "class_f1", "selection.of_class": "c"})
    assert target_of(like, "class_f1", None, None, "s").words == "class F1 (c)"
    assert target_of(like, "class_f1", "a", None, "s").words == "class F1 (a)"
    assert like.data.classes == CLASSES
