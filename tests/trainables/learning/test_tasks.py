"""Tasks with classes against torch and scikit-learn: what an image loses, what is said of it, what is counted."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from sklearn import metrics as reference
from torch.nn import functional

from search_spaces.settings.data import TASKS, Data
from search_spaces.settings.loss import Loss
from trainables.learning.losses.loss import loss_of, mean_gradient
from trainables.learning.tasks.task import Task, task_of


def made(classes: int) -> Task:
    task = "binary" if classes == 2 else "multiclass"
    return task_of(Data(task=task, classes=tuple("abcde"[:classes]), content="d" * 64, seed=0))


def drawn(classes: int, images: int = 50) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits [2, N, outputs] far apart, labels [N]."""
    generator = torch.Generator().manual_seed(1)
    outputs = 1 if classes == 2 else classes
    logits = 30 * torch.randn(2, images, outputs, generator=generator)
    return logits, torch.randint(classes, (images,), generator=generator)


@pytest.mark.parametrize("classes", [2, 4])
def test_losses_are_torchs_cross_entropy(classes: int) -> None:
    logits, labels = drawn(classes)
    found = made(classes).losses(logits, labels)
    assert found.shape == (2, 50)
    assert bool((found >= 0).all())
    for lane, values in enumerate(logits.double()):
        if classes == 2:
            each = functional.binary_cross_entropy_with_logits(values[:, 0], labels.double(), reduction="none")
        else:
            each = functional.cross_entropy(values, labels, reduction="none")
        torch.testing.assert_close(found[lane].double(), each, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("classes", [2, 4])
def test_predictions_and_statistics(classes: int) -> None:
    logits, labels = drawn(classes)
    task = made(classes)
    predicted = task.predictions(logits)
    likeliest = (logits[..., 0].sigmoid() > 0.5).long() if classes == 2 else logits.softmax(-1).argmax(-1)
    assert torch.equal(predicted, likeliest)
    counts = task.statistics(labels.numpy(), predicted.numpy())
    assert counts.dtype == np.int32
    assert counts.shape == (2, *task.shape)
    for lane in range(2):
        expected = reference.confusion_matrix(labels, predicted[lane], labels=range(classes))
        assert counts[lane].tolist() == expected.tolist()
    parts = [task.statistics(labels[at].numpy(), predicted[:, at].numpy()) for at in (slice(20), slice(20, None))]
    assert np.array_equal(sum(parts), counts), "those of two splits are added"


@pytest.mark.parametrize("classes", [2, 4])
def test_targets_are_shares_of_the_classes(classes: int) -> None:
    labels = torch.tensor([[0, 1, 1], [1, 0, classes - 1]])
    targets = made(classes).targets(labels)
    assert targets.dtype == torch.float32
    one_hot = functional.one_hot(labels, classes).float()
    assert torch.equal(targets[:, 0], one_hot[..., 1:] if classes == 2 else one_hot)
    assert targets.shape[-1] == TASKS.variants["binary" if classes == 2 else "multiclass"].outputs(classes)


@pytest.mark.parametrize("classes", [2, 4])
def test_enormous_logits_have_a_finite_loss(classes: int) -> None:
    logits = torch.full((1, 2, 1 if classes == 2 else classes), 1e30)
    logits[..., 1:] = -1e30
    task, labels = made(classes), torch.tensor([0, 1])
    assert bool(task.losses(logits, labels).isfinite().all())
    gradient = mean_gradient(loss_of(Loss()), logits.unsqueeze(0), task.targets(labels.unsqueeze(0)), None)
    assert bool(gradient.isfinite().all())


def test_an_unknown_task_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(ValidationError, match="expected binary or multiclass, found multilabel"):
        Data(task="multilabel", classes=("a", "b"), content="d" * 64, seed=0)
