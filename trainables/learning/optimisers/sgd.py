"""Stochastic gradient descent with momentum, as `torch.optim.SGD` has it."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from search_spaces.settings import optimiser as settings
from trainables.learning.optimisers.optimiser import Gradient, Optimiser
from trainables.learning.optimisers.rates import add_scaled
from trainables.learning.products import Outer


class SGD:
    buffers_per_parameter = 1

    def __init__(self, same: settings.Optimiser) -> None:
        """All its settings are rates."""

    def step(self, of: Optimiser, gradients: Sequence[Gradient]) -> None:
        lr, momentum, decay = of.every_rate("lr"), of.every_rate("momentum"), of.rates("weight_decay")
        for i, (tensor, gradient) in enumerate(zip(of.tensors, gradients, strict=True)):
            velocity, keep = of.buffers[i], momentum[i]
            if isinstance(keep, torch.Tensor):
                velocity.mul_(keep)
                keep = 1.0
            if isinstance(gradient, Outer):
                gradient.add_to(velocity, keep)
            else:
                velocity.mul_(keep).add_(gradient)
            if decay is not None:
                add_scaled(velocity, tensor, decay[i], 1.0)
            add_scaled(tensor, velocity, lr[i], -1.0)
