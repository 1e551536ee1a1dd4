"""Gradients of a bounded norm (Pascanu et al. 2013), each lane's by itself, as `torch.nn.utils.clip_grad_norm_` has."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from trainables.learning.optimisers.rates import Parameter

EPSILON = 1e-6


def clipped(
    gradients: Sequence[torch.Tensor], parameters: Sequence[Parameter], configurations: int, largest: float
) -> list[torch.Tensor]:
    """The same, of every lane whose norm over all parameters is above `largest` shortened to it.

    Nothing is read on the host, so that a step can be recorded; a lane that is no number leaves others as they are.
    """
    pairs = list(zip(gradients, parameters, strict=True))
    each = [of.by_lane(gradient, configurations) for gradient, of in pairs]
    squares = torch.stack([one.square().sum(dim=(1, 3), keepdim=True) for one in each]).sum(dim=0)
    shares = (largest / (squares.sqrt() + EPSILON)).clamp(max=1.0)
    return [(one * shares).view(gradient.shape) for one, gradient in zip(each, gradients, strict=True)]
