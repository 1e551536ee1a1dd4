"""Losses of soft targets are those of torch, their gradients those of autograd, three epochs those of plain torch."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.nn import functional

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


def random_targets(outputs: int, generator: torch.Generator) -> torch.Tensor:
    shares = torch.rand(SHAPE[0], 1, SHAPE[2], max(outputs, 2), dtype=torch.float64, generator=generator)
    shares /= shares.sum(dim=-1, keepdim=True)
    return shares[..., 1:] if outputs == 1 else shares


def of_torch(name: str, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """By the classes' shares; binary tasks as two classes, the first of which has the logit 0."""
    if logits.shape[-1] == 1:
        logits = torch.cat([torch.zeros_like(logits), logits], dim=-1)
        targets = torch.cat([1 - targets, targets], dim=-1)
    shares = targets.expand(*logits.shape).reshape(-1, logits.shape[-1])
    smoothing = 0.2 if name == "smoothed" else 0.0
    flat = logits.reshape(-1, logits.shape[-1])
    return functional.cross_entropy(flat, shares, reduction="none", label_smoothing=smoothing).view(SHAPE)


class OfAutograd:
    """The same loss, its gradient left to autograd."""

    def __init__(self, loss: Loss) -> None:
        self.each = loss.each


@pytest.mark.parametrize("name", LOSSES.names)
@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("is_weighted", [False, True])
def test_value_and_gradient(name: str, outputs: int, is_weighted: bool) -> None:
    generator = torch.Generator().manual_seed(outputs)
    loss = loss_of(settings.Loss(name=name, smoothing=0.2))
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
    c = study.configuration(lr=0.05, momentum=0.9, **{"loss.name": name, "loss.smoothing": 0.2})
    group = done(group_of_lanes(study, [Lane(c, repeat) for repeat in (0, 1)], 3))
    expected = train_losses(study, c, 1, 3, smoothing=0.2 if name == "smoothed" else 0.0)
    assert group.history(1).loss[1:, 0].tolist() == pytest.approx(expected, abs=1e-5)
