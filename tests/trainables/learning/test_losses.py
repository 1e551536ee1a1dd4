"""Losses of soft targets are those of torch, their gradients those of autograd, three epochs those of plain torch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional
from torchvision.ops import sigmoid_focal_loss

from orchestrator.store.errors import InputError
from search_spaces.settings import loss as settings
from search_spaces.settings.loss import LOSSES
from tests.support.groups import done, group_of_lanes
from tests.support.plain_probe import train_losses
from tests.support.tiny_study import make_tiny_study
from trainables.learning.learner import Lane
from trainables.learning.losses.loss import Loss, loss_of, mean_gradient
from trainables.learning.tasks.classes import soft_targets

SHAPE = (2, 3, 5)
"""Repeats, configurations, images."""
GAMMA, TAU = 1.5, 0.8
PRIORS = torch.tensor([0.2, 0.7, 0.1], dtype=torch.float64)


def random_targets(outputs: int, generator: torch.Generator) -> torch.Tensor:
    shares = torch.rand(SHAPE[0], 1, SHAPE[2], max(outputs, 2), dtype=torch.float64, generator=generator)
    shares /= shares.sum(dim=-1, keepdim=True)
    return shares[..., 1:] if outputs == 1 else shares


def of_torch(name: str, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """By the classes' shares; binary tasks as two classes, the first of which has the logit 0."""
    if logits.shape[-1] == 1:
        logits = torch.cat([torch.zeros_like(logits), logits], dim=-1)
        targets = torch.cat([1 - targets, targets], dim=-1)
    flat = logits.reshape(-1, logits.shape[-1])
    return each_of_torch(name, flat, targets.expand(*logits.shape).reshape(flat.shape)).view(SHAPE)


def each_of_torch(name: str, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """[N] of logits [N, K] and the classes' shares."""
    if name == "focal":
        found = logits.softmax(dim=1)
        return sum(-targets[:, k] * (1 - found[:, k]) ** GAMMA * found[:, k].log() for k in range(logits.shape[1]))
    if name == "logit_adjusted":
        odds = logits.exp() * PRIORS[: logits.shape[1]] ** TAU
        return -(targets * (odds / odds.sum(dim=1, keepdim=True)).log()).sum(dim=1)
    return functional.cross_entropy(
        logits, targets, reduction="none", label_smoothing=0.2 if name == "smoothed" else 0.0
    )


def made(name: str, outputs: int) -> Loss:
    given = settings.Loss(name=name, smoothing=0.2, gamma=GAMMA, tau=TAU)
    return loss_of(given, PRIORS[: max(2, outputs)])


class OfAutograd:
    """The same loss, its gradient left to autograd."""

    def __init__(self, loss: Loss) -> None:
        self.each = loss.each


@pytest.mark.parametrize("name", LOSSES.names)
@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("is_weighted", [False, True])
def test_value_and_gradient(name: str, outputs: int, is_weighted: bool) -> None:
    generator = torch.Generator().manual_seed(outputs)
    loss = made(name, outputs)
    logits = torch.randn(*SHAPE, outputs, dtype=torch.float64, generator=generator) * 3
    targets = random_targets(outputs, generator)
    torch.testing.assert_close(loss.each(logits, targets), of_torch(name, logits, targets))
    weights = torch.rand(max(outputs, 2), dtype=torch.float64, generator=generator) if is_weighted else None
    found = mean_gradient(loss, logits, targets, weights)
    torch.testing.assert_close(found, mean_gradient(OfAutograd(loss), logits, targets, weights))  # type: ignore[arg-type]


@pytest.mark.parametrize("outputs", [1, 3])
def test_a_label_weighs_what_its_class_weighs_to_the_bit(outputs: int) -> None:
    labels = torch.tensor([[0, 1, 1, 0], [1, 0, 1, 1]]) if outputs == 1 else torch.tensor([[0, 2, 1, 2], [1, 0, 2, 2]])
    weights = torch.rand(max(outputs, 2), generator=torch.Generator().manual_seed(0))
    logits = torch.randn(2, 1, 4, outputs, generator=torch.Generator().manual_seed(1))
    targets = soft_targets(labels, outputs)
    loss = loss_of(settings.Loss())
    plain, weighed = (mean_gradient(loss, logits, targets, each) for each in (None, weights))
    expected = (plain * 4) * weights[labels].unsqueeze(1).unsqueeze(-1) / 4
    torch.testing.assert_close(weighed, expected, rtol=0, atol=0)


@pytest.mark.parametrize("name", LOSSES.names)
@pytest.mark.parametrize("classes", [("few", "many"), ("few", "many", "some")], ids=["binary", "multiclass"])
def test_three_epochs_equal_torch(name: str, classes: tuple[str, ...], tmp_path: Path) -> None:
    torch.set_num_threads(1)
    study = make_tiny_study(tmp_path, classes)
    given = {"loss.name": name, "loss.smoothing": 0.2, "loss.gamma": GAMMA, "loss.tau": TAU}
    c = study.configuration(lr=0.05, momentum=0.9, **given)
    group = done(group_of_lanes(study, [Lane(c, repeat) for repeat in (0, 1)], 3))
    labels = group.samples.labels[group.samples.training]
    counts = torch.tensor([float((labels == k).sum()) for k in range(len(classes))])

    def loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        if name == "logit_adjusted":
            return functional.cross_entropy(logits + TAU * (counts / counts.sum()).log(), labels)
        targets = functional.one_hot(labels, logits.shape[1]).to(logits.dtype)
        return each_of_torch(name, logits, targets).mean()

    assert len(set(counts.tolist())) > 1, "else an adjustment would change nothing"
    expected = train_losses(study, c, 1, 3, loss)
    assert group.history(1).loss[1:, 0].tolist() == pytest.approx(expected, abs=1e-5)


def test_focal_loss_of_one_output_is_that_of_torchvision() -> None:
    generator = torch.Generator().manual_seed(3)
    logits = torch.randn(*SHAPE, 1, dtype=torch.float64, generator=generator) * 4
    targets = torch.randint(2, (SHAPE[0], 1, SHAPE[2], 1), generator=generator).double()
    of_theirs = sigmoid_focal_loss(logits, targets.expand_as(logits).contiguous(), alpha=-1, gamma=GAMMA)
    torch.testing.assert_close(made("focal", 1).each(logits, targets), of_theirs.squeeze(-1))


@pytest.mark.parametrize(("name", "setting"), [("focal", "gamma"), ("logit_adjusted", "tau")])
@pytest.mark.parametrize("outputs", [1, 3])
def test_at_nothing_it_is_cross_entropy(name: str, setting: str, outputs: int) -> None:
    generator = torch.Generator().manual_seed(5)
    logits = torch.randn(*SHAPE, outputs, dtype=torch.float64, generator=generator)
    targets = random_targets(outputs, generator)
    loss = loss_of(settings.Loss.model_validate({"name": name, setting: 0.0}), PRIORS[: max(2, outputs)])
    torch.testing.assert_close(loss.each(logits, targets), of_torch("cross_entropy", logits, targets))


@pytest.mark.parametrize("name", LOSSES.names)
@pytest.mark.parametrize("outputs", [1, 3])
def test_gradients_of_sure_images_are_finite(name: str, outputs: int) -> None:
    """However sure, and of whichever class; a power below 1 has no slope at 0."""
    loss = loss_of(settings.Loss(name=name, gamma=0.5), PRIORS.float()[: max(2, outputs)])
    labels = torch.arange(6).view(2, 3) % max(2, outputs)
    for size in (20.0, 200.0, 1e30):
        logits = torch.full((2, 1, 3, outputs), -size)
        logits[..., 0] = size
        gradient = mean_gradient(loss, logits, soft_targets(labels, outputs), None)
        assert bool(gradient.isfinite().all())


def test_an_adjustment_is_by_the_rows_that_are_trained_on(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    study = make_tiny_study(tmp_path, ("few", "many", "some"))
    for balance in ("none", "ngca", "subsample"):
        c = study.configuration(**{"loss.name": "logit_adjusted"}, balance=balance)
        group = group_of_lanes(study, [Lane(c, 0)], 1)
        labels = group.samples.labels[group.samples.training]
        shares = [float(np.mean(labels == k)) for k in range(3)]
        towards = group.learner.loss.towards  # type: ignore[attr-defined]
        assert towards.tolist() == pytest.approx(np.log(shares), abs=1e-6)
        assert (len(set(shares)) == 1) == (balance == "subsample")


def test_a_class_that_is_not_trained_on_cannot_be_adjusted_for() -> None:
    with pytest.raises(InputError, match="expected at least one training image of every class, found none of class 1"):
        loss_of(settings.Loss(name="logit_adjusted"), torch.tensor([0.5, 0.0, 0.5]))
