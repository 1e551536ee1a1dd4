"""SGD with momentum, Adam and AdamW over tensors whose first axis is the lane, each lane with rates of its own.

The formulas are those of `torch.optim` (Adam: Kingma and Ba 2015; AdamW: Loshchilov and Hutter 2019). State is a flat
list of tensors, so that a checkpoint stores it as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch

from orchestrator.store.schema import Configuration

ADAM_EPSILON = 1e-8


@dataclass(frozen=True)
class Rule:
    """What is the same for all lanes of a stack; lr, momentum and weight decay may differ from lane to lane."""

    name: Literal["sgd", "adam", "adamw"]
    beta1: float
    beta2: float

    @classmethod
    def of(cls, configuration: Configuration) -> Rule:
        return cls(configuration.optimiser, configuration.beta1, configuration.beta2)

    @property
    def buffers_per_parameter(self) -> int:
        return 1 if self.name == "sgd" else 2


class Optimiser:
    """Updates `parameters` in place. lr, momentum, weight_decay: one float per lane.

    parameters: tensors [lanes, …]. With one lane, tensors of any shape are taken as that lane's.
    """

    def __init__(
        self,
        rule: Rule,
        parameters: Sequence[torch.Tensor],
        lr: Sequence[float],
        momentum: Sequence[float],
        weight_decay: Sequence[float],
    ) -> None:
        self.rule = rule
        self.parameters = list(parameters)
        self.buffers = [torch.zeros_like(p) for p in self.parameters for _ in range(rule.buffers_per_parameter)]
        self.steps = 0
        self._lr = [_per_lane(lr, p) for p in self.parameters]
        self._momentum = [_per_lane(momentum, p) for p in self.parameters]
        self._decay = [_per_lane(weight_decay, p) for p in self.parameters] if any(weight_decay) else None

    @torch.no_grad()
    def step(self, gradients: Sequence[torch.Tensor]) -> None:
        """One update; gradients are in the order and shapes of the parameters and may be overwritten."""
        self.steps += 1
        if self.rule.name == "sgd":
            self._sgd(gradients)
        else:
            self._adam(gradients)

    def _sgd(self, gradients: Sequence[torch.Tensor]) -> None:
        for i, (parameter, gradient) in enumerate(zip(self.parameters, gradients, strict=True)):
            if self._decay is not None:
                gradient = gradient.add(parameter * self._decay[i])
            velocity = self.buffers[i]
            velocity.mul_(self._momentum[i]).add_(gradient)
            parameter.sub_(velocity * self._lr[i])

    def _adam(self, gradients: Sequence[torch.Tensor]) -> None:
        beta1, beta2 = self.rule.beta1, self.rule.beta2
        correction1 = 1.0 - beta1**self.steps
        correction2 = (1.0 - beta2**self.steps) ** 0.5
        for i, (parameter, gradient) in enumerate(zip(self.parameters, gradients, strict=True)):
            if self._decay is not None and self.rule.name == "adam":
                gradient = gradient.add(parameter * self._decay[i])
            elif self._decay is not None:
                parameter.mul_(1.0 - self._decay[i] * self._lr[i])
            mean, square = self.buffers[2 * i], self.buffers[2 * i + 1]
            mean.lerp_(gradient, 1.0 - beta1)
            square.mul_(beta2).addcmul_(gradient, gradient, value=1.0 - beta2)
            denominator = square.sqrt().div_(correction2).add_(ADAM_EPSILON)
            parameter.sub_(mean.div(denominator).mul_(self._lr[i] / correction1))


def _per_lane(values: Sequence[float], parameter: torch.Tensor) -> torch.Tensor:
    """[lanes, 1, …] for a stack, or a scalar tensor for one lane; float32 on the parameter's device."""
    tensor = torch.tensor(list(values), dtype=torch.float32, device=parameter.device)
    if len(values) == 1:
        return tensor[0]
    return tensor.view(-1, *([1] * (parameter.dim() - 1)))
