"""SGD with momentum, Adam and AdamW for a stack, each configuration in it with rates of its own.

The formulas are those of `torch.optim` (Adam: Kingma and Ba 2015; AdamW: Loshchilov and Hutter 2019). State is a flat
list of tensors, so that a checkpoint stores it as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch

from orchestrator.store.schema import Configuration
from trainables.learning.products import Outer

ADAM_EPSILON = 1e-8

Rate = float | torch.Tensor
"""One number for all of a parameter, or one per configuration, shaped to be broadcast over it."""


@dataclass(frozen=True)
class Rule:
    """What is the same for all of a stack; lr, momentum and weight decay may differ between configurations."""

    name: Literal["sgd", "adam", "adamw"]
    beta1: float
    beta2: float

    @classmethod
    def of(cls, configuration: Configuration) -> Rule:
        return cls(configuration.optimiser, configuration.beta1, configuration.beta2)

    @property
    def buffers_per_parameter(self) -> int:
        return 1 if self.name == "sgd" else 2


@dataclass
class Parameter:
    """A tensor to be trained, in place, and how it is shared out to the configurations of a stack.

    axis is the one along which configurations follow one another `times` times over, each `span` entries long; a tensor
    of one configuration needs none of the three.
    """

    tensor: torch.Tensor
    axis: int = 0
    times: int = 1
    span: int = 1

    def rate(self, values: Sequence[float]) -> Rate:
        """One value per configuration → what this tensor is multiplied with."""
        if len(set(values)) == 1:
            return float(values[0])
        each = torch.tensor(list(values), dtype=torch.float32, device=self.tensor.device)
        shape = [1] * self.tensor.dim()
        shape[self.axis] = -1
        return each.repeat_interleave(self.span).repeat(self.times).view(shape)


class Optimiser:
    """Updates parameters in place. lr, momentum, weight_decay: one float per configuration of the stack."""

    def __init__(
        self,
        rule: Rule,
        parameters: Sequence[Parameter],
        lr: Sequence[float],
        momentum: Sequence[float],
        weight_decay: Sequence[float],
    ) -> None:
        self.rule = rule
        self.tensors = [parameter.tensor for parameter in parameters]
        self.buffers = [torch.zeros_like(t) for t in self.tensors for _ in range(rule.buffers_per_parameter)]
        self.steps = torch.zeros((), dtype=torch.float64, device=self.tensors[0].device)
        """Updates of Adam so far; on a GPU it stays there, for a recorded step counts on."""
        self._lr = [parameter.rate(lr) for parameter in parameters]
        self._momentum = [parameter.rate(momentum) for parameter in parameters]
        self._decay = [parameter.rate(weight_decay) for parameter in parameters] if any(weight_decay) else None

    @torch.no_grad()
    def step(self, gradients: Sequence[torch.Tensor | Outer]) -> None:
        """One update; gradients are in the order of the parameters and may be overwritten."""
        if self.rule.name == "sgd":
            self._sgd(gradients)
        else:
            self._adam([g.dense() if isinstance(g, Outer) else g for g in gradients])

    def _sgd(self, gradients: Sequence[torch.Tensor | Outer]) -> None:
        for i, (tensor, gradient) in enumerate(zip(self.tensors, gradients, strict=True)):
            velocity, keep = self.buffers[i], self._momentum[i]
            if isinstance(keep, torch.Tensor):
                velocity.mul_(keep)
                keep = 1.0
            if isinstance(gradient, Outer):
                gradient.add_to(velocity, keep)
            else:
                velocity.mul_(keep).add_(gradient)
            if self._decay is not None:
                _add_scaled(velocity, tensor, self._decay[i], 1.0)
            _add_scaled(tensor, velocity, self._lr[i], -1.0)

    def _adam(self, gradients: Sequence[torch.Tensor]) -> None:
        beta1, beta2 = self.rule.beta1, self.rule.beta2
        self.steps.add_(1)
        steps: Any = self.steps if self.steps.is_cuda else self.steps.item()
        correction1 = 1.0 - beta1**steps
        correction2 = (1.0 - beta2**steps) ** 0.5
        for i, (tensor, gradient) in enumerate(zip(self.tensors, gradients, strict=True)):
            if self._decay is not None and self.rule.name == "adam":
                gradient = gradient.add(tensor * self._decay[i])
            elif self._decay is not None:
                tensor.mul_(1.0 - self._decay[i] * self._lr[i])
            mean, square = self.buffers[2 * i], self.buffers[2 * i + 1]
            mean.lerp_(gradient, 1.0 - beta1)
            square.mul_(beta2).addcmul_(gradient, gradient, value=1.0 - beta2)
            denominator = square.sqrt().div_(correction2).add_(ADAM_EPSILON)
            _add_scaled(tensor, mean.div(denominator), self._lr[i], -1.0 / correction1)


def _add_scaled(target: torch.Tensor, values: torch.Tensor, rate: Rate, sign: float | torch.Tensor) -> None:
    """target ← target + sign · rate · values, in place; sign may be a number that lies on the GPU."""
    if isinstance(sign, torch.Tensor):
        values, sign = values.mul(sign), 1.0
    if isinstance(rate, torch.Tensor):
        target.addcmul_(values, rate, value=sign)
    else:
        target.add_(values, alpha=sign * rate)
