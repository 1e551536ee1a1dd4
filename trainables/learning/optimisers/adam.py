"""Adam (Kingma and Ba 2015) and AdamW (Loshchilov and Hutter 2019), as `torch.optim` has them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from search_spaces.settings import optimiser as settings
from trainables.learning.optimisers.optimiser import Gradient, Optimiser
from trainables.learning.optimisers.rates import add_scaled
from trainables.learning.products import Outer

EPSILON = 1e-8


class Adam:
    """Weight decay is added to the gradient."""

    buffers_per_parameter = 2
    decay_apart: ClassVar[bool] = False

    def __init__(self, same: settings.Optimiser) -> None:
        self.betas = same.betas

    def step(self, of: Optimiser, gradients: Sequence[Gradient]) -> None:
        beta1, beta2 = self.betas
        lr, decay = of.every_rate("lr"), of.rates("weight_decay")
        of.steps.add_(1)
        steps: Any = of.steps if of.steps.is_cuda else of.steps.item()
        correction1 = 1.0 - beta1**steps
        correction2 = (1.0 - beta2**steps) ** 0.5
        dense = [gradient.dense() if isinstance(gradient, Outer) else gradient for gradient in gradients]
        for i, (tensor, gradient) in enumerate(zip(of.tensors, dense, strict=True)):
            if decay is not None and self.decay_apart:
                tensor.mul_(1.0 - decay[i] * lr[i])
            elif decay is not None:
                gradient = gradient.add(tensor * decay[i])
            mean, square = of.buffers[2 * i], of.buffers[2 * i + 1]
            mean.lerp_(gradient, 1.0 - beta1)
            square.mul_(beta2).addcmul_(gradient, gradient, value=1.0 - beta2)
            denominator = square.sqrt().div_(correction2).add_(EPSILON)
            add_scaled(tensor, mean.div(denominator), lr[i], -1.0 / correction1)


class AdamW(Adam):
    """Weight decay shrinks the weights by themselves."""

    decay_apart = True
