"""The contract of a loss, and its gradient over the lanes of a stack."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch

from search_spaces.settings import loss as settings


class Loss(Protocol):
    """Of logits and soft targets. `search_spaces.settings.loss.LOSSES` names them all.

    One that has a method `gradient(logits, targets)` knows the gradient of each image's loss by its logits [R, C, B,
    outputs], a tensor of its own; that of any other is recorded.
    """

    def __init__(self, same: settings.Loss, shares: torch.Tensor | None) -> None:
        """same: settings of the stack. shares: float32 [K], what each class is of the rows that are trained on; None:
        they are alike."""

    def each(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Of each image, float [R, C, B], by operations that autograd knows.

        logits [R, C, B, outputs]; targets [R, 1, B, outputs], shares of the classes that sum to 1, with one output the
        share of class 1.
        """


def loss_of(same: settings.Loss, shares: torch.Tensor | None = None) -> Loss:
    kind: type[Loss] = settings.LOSSES.load(same.name)
    return kind(same, shares)


def mean_gradient(
    loss: Loss, logits: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor | None
) -> torch.Tensor:
    """Gradient of Σ w·loss / B by the logits, [R, C, B, outputs]; weights float32 [K] of the classes, or None.

    An image weighs what its target's classes weigh, by their shares.
    """
    written_out: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] | None = getattr(loss, "gradient", None)
    if written_out is not None:
        gradient = written_out(logits, targets)
    else:
        with torch.enable_grad():
            leaf = logits.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(loss.each(leaf, targets).sum(), leaf)
    if weights is not None:
        gradient.mul_(image_weights(weights, targets))
    return gradient.div_(logits.shape[2])


def image_weights(weights: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """What images weigh, float32 [..., 1], by weights [K] of their targets' classes [..., outputs]."""
    if targets.shape[-1] == 1:
        return weights[1] * targets + weights[0] * (1 - targets)
    return (weights * targets).sum(dim=-1, keepdim=True)
