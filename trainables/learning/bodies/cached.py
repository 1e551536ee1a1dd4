"""Nothing: the features themselves are cached."""

from __future__ import annotations

import torch

from trainables.learning.bodies.body import Inputs
from trainables.learning.optimisers.rates import Parameter


class Cached:
    def __init__(self) -> None:
        self.parameters: list[Parameter] = []
        self.buffers: list[torch.Tensor] = []

    def forward(self, inputs: Inputs) -> torch.Tensor:
        return inputs[0]

    def backward(self, gradient: torch.Tensor) -> list[torch.Tensor]:
        return []

    def score(self, inputs: Inputs) -> torch.Tensor:
        return inputs[0]

    def state(self) -> dict[str, torch.Tensor]:
        return {}
