"""The backbone from the frontier on, or all of it from the pixels."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import torch
from torch import nn

from search_spaces.settings.adaptation import Arithmetic
from trainables.learning.bodies.arithmetic import computing_in, features_of
from trainables.learning.bodies.body import Inputs
from trainables.learning.optimisers.rates import Parameter


class Network:
    """A copy of `suffix`, whose parameters that require a gradient are trained.

    It stays in eval mode: dropout is off, batch norm trains scale and shift and keeps its stored statistics. With
    `norms_move` batch norm that is trained standardises by its batch, as torch has it, and moves its statistics.
    start: what is trained or moves begins with these in the place of the suffix's own, by name; others are not read.
    lr_factors: of the learning rate of a parameter, by name; 1 where it is left out.
    arithmetic: of both passes and of scores. Parameters, their gradients, buffers and features are float32 in any.
    """

    def __init__(
        self,
        suffix: nn.Module,
        device: torch.device,
        *,
        norms_move: bool = False,
        start: Mapping[str, torch.Tensor] | None = None,
        lr_factors: Mapping[str, float] | None = None,
        arithmetic: Arithmetic = "fp32",
    ) -> None:
        self.arithmetic = arithmetic
        self.module = copy.deepcopy(suffix).to(device).eval()
        self.live = {name: value for name, value in self.module.named_parameters() if value.requires_grad}
        factors = lr_factors or {}
        self.parameters = [
            Parameter(one.data, is_weight=one.dim() > 1, lr_factor=factors.get(name, 1.0))
            for name, one in self.live.items()
        ]
        self.norms = {name: part for name, part in self.module.named_modules() if norms_move and is_trained_norm(part)}
        self.buffers = [buffer for norm in self.norms.values() for buffer in norm.buffers(recurse=False)]
        if start is not None:
            for name, values in self.state().items():
                values.copy_(start[name])
        self._features = torch.empty(0)

    def forward(self, inputs: Inputs) -> torch.Tensor:
        self._set_mode(training=True)
        with torch.set_grad_enabled(bool(self.live)):
            self._features = features_of(self.module, inputs, self.arithmetic)
        return self._features.detach()

    def backward(self, gradient: torch.Tensor) -> list[torch.Tensor]:
        features, self._features = self._features, torch.empty(0)
        with computing_in(self.arithmetic, gradient.device, backward=True):
            return list(torch.autograd.grad(features, list(self.live.values()), grad_outputs=gradient))

    @torch.no_grad()
    def score(self, inputs: Inputs) -> torch.Tensor:
        self._set_mode(training=False)
        return features_of(self.module, inputs, self.arithmetic)

    def state(self) -> dict[str, torch.Tensor]:
        moving = {
            f"{name}.{part}": buffer
            for name, norm in self.norms.items()
            for part, buffer in norm.named_buffers("", False)
        }
        return {**{name: value.detach() for name, value in self.live.items()}, **moving}

    def _set_mode(self, *, training: bool) -> None:
        for norm in self.norms.values():
            norm.training = training  # what lies within it, such as an activation, stays as it is


def is_trained_norm(part: nn.Module) -> bool:
    """One without scale and shift counts too: the frontier lies before the first trained weight."""
    return isinstance(part, nn.modules.batchnorm._BatchNorm) and all(
        parameter.requires_grad for parameter in part.parameters(recurse=False)
    )
