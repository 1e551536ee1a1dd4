"""A head without steps: its minimum, and a lane whose one epoch is the fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from orchestrator.store.errors import InputError
from orchestrator.store.schema import RepeatState
from search_spaces.configuration import Configuration
from search_spaces.settings.head import Head
from tests.support.configurations import changed
from tests.support.groups import group_of_lanes, saved
from tests.support.tiny_study import TinyStudy, another, make_tiny_study
from trainables.bundles.prediction import Models
from trainables.bundles.trained import trained
from trainables.learning.group import Group
from trainables.learning.heads.head import fitted_of
from trainables.learning.heads.logistic import SMALL_GRADIENT
from trainables.learning.learner import Lane
from trainables.learning.losses.cross_entropy import CrossEntropy
from trainables.learning.losses.loss import image_weights
from trainables.learning.tasks.classes import soft_targets

CPU = torch.device("cpu")
LOGISTIC: dict[str, Any] = {"head": "logistic", "penalty": 0.05}
ROWS, WIDTH = 60, 12


@pytest.fixture(params=[("few", "many"), ("few", "many", "some")], ids=["binary", "multiclass"], scope="module")
def study(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> TinyStudy:
    torch.set_num_threads(1)
    return make_tiny_study(tmp_path_factory.mktemp("fitted"), request.param)


def drawn(classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Features [ROWS, WIDTH], all above zero as pooled ones are, and labels that they say something of."""
    generator = np.random.default_rng(classes)
    labels = generator.integers(0, classes, ROWS)
    features = np.maximum(generator.normal(size=(ROWS, WIDTH)) + labels[:, None] * generator.normal(size=WIDTH) / 2, 0)
    return features.astype(np.float32), labels


def fit(features: np.ndarray, targets: np.ndarray, weights: np.ndarray, penalty: float) -> dict[str, np.ndarray]:
    head = fitted_of(Head(name="logistic", penalty=penalty))
    assert head is not None
    return head.fit(features, targets, weights)


def hard(labels: np.ndarray, outputs: int) -> np.ndarray:
    return soft_targets(torch.from_numpy(labels)[None], outputs)[0, 0].numpy()


def gradients(
    values: dict[str, np.ndarray], features: np.ndarray, targets: np.ndarray, weights: np.ndarray, penalty: float
) -> list[np.ndarray]:
    """Of the mean of weighted losses + λ/2·|w|², by weights and biases."""
    weight, bias = (
        torch.tensor(values[f"0.{name}"], dtype=torch.float64, requires_grad=True) for name in ("weight", "bias")
    )
    logits = (torch.from_numpy(features).double() @ weight.T + bias)[None, None]
    each = CrossEntropy(None, None).each(logits, torch.from_numpy(targets).double()[None, None])  # type: ignore[arg-type]
    objective = (each[0, 0] * torch.from_numpy(weights)).sum() / len(features) + penalty / 2 * (weight**2).sum()
    return [gradient.numpy() for gradient in torch.autograd.grad(objective, [weight, bias])]


def smallest(features: np.ndarray, targets: np.ndarray, weights: np.ndarray, penalty: float) -> list[np.ndarray]:
    """Weights and biases by torch's own L-BFGS, from zero."""
    x, t, w = (torch.from_numpy(array).double() for array in (features, targets, weights))
    weight = torch.zeros(targets.shape[1], features.shape[1], dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(targets.shape[1], dtype=torch.float64, requires_grad=True)
    rule = torch.optim.LBFGS([weight, bias], max_iter=2000, tolerance_grad=1e-10, line_search_fn="strong_wolfe")

    def objective() -> torch.Tensor:
        rule.zero_grad()
        each = CrossEntropy(None, None).each((x @ weight.T + bias)[None, None], t[None, None])  # type: ignore[arg-type]
        loss = (each[0, 0] * w).sum() / len(x) + penalty / 2 * (weight**2).sum()
        loss.backward()
        return loss

    rule.step(objective)
    return [weight.detach().numpy(), bias.detach().numpy()]


@pytest.mark.parametrize("penalty", [1e-4, 0.01, 10.0])
@pytest.mark.parametrize("kind", ["plain", "weighted", "soft"])
@pytest.mark.parametrize(("classes", "outputs"), [(2, 1), (2, 2), (3, 3)])
def test_what_is_fitted_is_the_minimum_that_is_stated(classes: int, outputs: int, kind: str, penalty: float) -> None:
    features, labels = drawn(classes)
    targets, weights = hard(labels, outputs), np.ones(ROWS, np.float32)
    if kind == "soft":
        targets = 0.7 * targets + 0.3 * hard(np.roll(labels, 1), outputs)
    if kind != "plain":
        of_classes = torch.tensor([0.5, 2.0, 1.25][:classes])
        weights = image_weights(of_classes, torch.from_numpy(targets)).squeeze(1).numpy()
    found = fit(features, targets, weights, penalty)
    assert found["0.weight"].shape == (outputs, WIDTH)
    assert {values.dtype for values in found.values()} == {np.dtype(np.float32)}
    size = max(np.abs(found["0.weight"]).max(), 1.0)
    rounding = 4 * np.finfo(np.float32).eps * size * (penalty + WIDTH * features.max() ** 2)
    for gradient in gradients(found, features, targets, weights, penalty):
        assert np.abs(gradient).max() < 2 * SMALL_GRADIENT + rounding
    weight, bias = smallest(features, targets, weights, penalty)
    assert found["0.weight"] == pytest.approx(weight, rel=0.01, abs=0.01)
    assert found["0.bias"] - found["0.bias"].mean() == pytest.approx(bias - bias.mean(), rel=0.01, abs=0.02)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("classes", [2, 3])
def test_it_is_what_scikit_learn_gives(classes: int, weighted: bool) -> None:
    features, labels = drawn(classes)
    penalty, share = 0.02, dict(enumerate([0.5, 2.0, 1.25][:classes])) if weighted else None
    weights = np.array([share[label] if share else 1.0 for label in labels.tolist()], np.float32)
    outputs = 1 if classes == 2 else 3
    found = fit(features, hard(labels, outputs), weights, penalty)
    theirs = LogisticRegression(C=1 / (penalty * ROWS), tol=1e-9, max_iter=10_000, class_weight=share)
    theirs.fit(features.astype(np.float64), labels)
    assert found["0.weight"] == pytest.approx(theirs.coef_, abs=1e-4)
    assert found["0.bias"] == pytest.approx(theirs.intercept_, abs=1e-4)


def test_a_class_without_images_is_told() -> None:
    features, labels = drawn(2)
    with pytest.raises(InputError, match="expected training images of every class"):
        fit(features, hard(labels, 3), np.ones(ROWS, np.float32), 0.1)


def begun(study: TinyStudy, c: Configuration, epochs: int, repeats: tuple[int, ...] = (1,)) -> Group:
    lanes = [Lane(c, repeat) for repeat in repeats]
    return group_of_lanes(study, lanes, epochs)


@pytest.mark.parametrize("balance", ["none", "class_weights"])
def test_the_one_epoch_is_the_fit(study: TinyStudy, balance: str) -> None:
    c = study.configuration(**LOGISTIC, balance=balance)
    material = study.bench().material(c, study.partition)
    assert material.features is not None
    group = begun(study, c, 5)
    group.advance(float("inf"))
    assert (group.epoch, group.state(0), len(group.history(0).loss)) == (1, RepeatState.STOPPED, 2)
    rows = material.samples.training
    labels = material.samples.labels[rows]
    of_classes = np.ones(3, np.float32) if material.samples.weights is None else material.samples.weights
    expected = fit(material.features.numpy()[rows], hard(labels, c.outputs), of_classes[labels], c.head.penalty)
    found = group.learner.weights_of(0)
    assert {name: values.tolist() for name, values in found.items()} == {
        f"head.{name}": values.tolist() for name, values in expected.items()
    }
    plain = begun(study, study.configuration(lr=0.05, balance=balance), 1)
    plain.advance(float("inf"))
    assert group.history(0).loss[0].tolist() == plain.history(0).loss[0].tolist(), "untrained as everywhere"
    assert group.history(0).loss[1, 0] < 0.8 * group.history(0).loss[0, 0]


def test_repeats_end_at_the_same_weights(study: TinyStudy, tmp_path: Path) -> None:
    study = another(study, tmp_path)
    c = study.configuration(**LOGISTIC)
    one, other = study.train(c, (0, 1), 4).values()
    assert one.meta["state"] == other.meta["state"] == "stopped"
    assert one.history.loss[0].tolist() != other.history.loss[0].tolist()
    assert one.history.loss[1].tolist() == other.history.loss[1].tolist()
    assert one.meta["recipe"]["segment"]["repeats"] == [0]
    with pytest.raises(ValueError, match='the lanes of a head "logistic" are trained in turn'):
        begun(study, c, 1, (0, 1))


def test_going_on_is_never_having_stopped(study: TinyStudy) -> None:
    c = study.configuration(**LOGISTIC)
    whole, cut = begun(study, c, 3), begun(study, c, 3)
    whole.advance(float("inf"))
    while not cut.is_done:
        cut.advance(0.0)  # one step or one scoring
        state = saved(cut)
        cut = begun(study, c, 3)
        cut.load(state)
    assert np.array_equal(whole.history(0).loss, cut.history(0).loss)
    assert cut.state(0) == RepeatState.STOPPED
    for part, values in whole.learner.state().items():
        assert np.array_equal(values, cut.learner.state()[part]), part


@pytest.mark.parametrize("first", [1, 2])
def test_more_epochs_change_nothing(study: TinyStudy, first: int, tmp_path: Path) -> None:
    study, other = another(study, tmp_path / "later"), another(study, tmp_path / "at once")
    c = study.configuration(**LOGISTIC)
    assert other.configuration(**LOGISTIC).id == c.id
    begun_with = study.train(c, (0, 3), first)[3]
    assert begun_with.meta["state"] == ("finished" if first == 1 else "stopped")
    later = study.train(c, (0, 3), 20) or study.finals(c, first)  # one that stopped owes no more epochs
    for repeat, at_once in other.train(c, (0, 3), 20).items():
        found = later[repeat]
        assert (found.meta["state"], found.meta["selected_epoch"]) == ("stopped", at_once.meta["selected_epoch"])
        assert np.array_equal(found.history.loss, at_once.history.loss)
        assert np.array_equal(found.logits, at_once.logits)


def test_what_is_kept_is_what_is_predicted(study: TinyStudy, tmp_path: Path) -> None:
    """Trained, trained again from the seed, and predicted from images alone: the same logits."""
    study = another(study, tmp_path)
    c = study.configuration(**LOGISTIC)
    finals = study.train(c, (0, 3), 2)
    bench = study.bench()
    again = trained(bench, study.partition, c.id, [0, 3])
    assert [one.deviation for one in again.values()] == [0.0, 0.0]
    frozen = bench.frozen_ready(c, study.partition, str(finals[0].meta["recipe"]["frontier"]))
    models = Models(bench, frozen, [again[0].weights, again[3].weights])
    logits = models.logits([frozen.reader(CPU).batch(frozen.samples.scoring["valid"])])
    for found, repeat in zip(logits, (0, 3), strict=True):
        assert found == pytest.approx(finals[repeat].logits.astype(np.float32), rel=1e-3, abs=1e-3)


def test_settings_of_steps_make_no_other_training(study: TinyStudy) -> None:
    c = study.configuration(**LOGISTIC)
    assert changed(c, lr=0.5, batch_size=3, optimiser="adam", schedule="cosine", **{"loss.name": "smoothed"}) == c
    assert changed(c, penalty=0.5).id != c.id
