"""Lion: steps by the sign of a running mean (Chen et al. 2023, arXiv 2302.06675), as timm has it."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from search_spaces.settings import optimiser as settings
from trainables.learning.optimisers.optimiser import Gradient, Optimiser
from trainables.learning.optimisers.rates import add_scaled
from trainables.learning.products import Outer


class Lion:
    """Weight decay shrinks the weights by themselves."""

    buffers_per_parameter = 1

    def __init__(self, same: settings.Optimiser) -> None:
        self.betas = same.betas

    def step(self, of: Optimiser, gradients: Sequence[Gradient]) -> None:
        beta1, beta2 = self.betas
        lr, decay = of.every_rate("lr"), of.rates("weight_decay")
        dense = [gradient.dense() if isinstance(gradient, Outer) else gradient for gradient in gradients]
        for i, (tensor, gradient) in enumerate(zip(of.tensors, dense, strict=True)):
            if decay is not None:
                tensor.mul_(1.0 - decay[i] * lr[i])
            mean = of.buffers[i]
            towards = mean.lerp(gradient, 1.0 - beta1)
            # the sign of what is no number is 0: a lane that diverged would stand still and look sound
            add_scaled(tensor, torch.where(towards.isnan(), towards, towards.sign()), lr[i], -1.0)
            mean.lerp_(gradient, 1.0 - beta2)
