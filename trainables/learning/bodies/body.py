"""The contract of a body."""

from __future__ import annotations

from typing import Protocol

import torch

from trainables.learning.optimisers.rates import Parameter

Inputs = tuple[torch.Tensor, ...]
"""Of a batch: pooled features, frontier tensors, or standardised images; each float32 [N, …]."""


class Body(Protocol):
    """From what is cached, or from images, to features. One that trains is of one lane; others serve any number."""

    @property
    def parameters(self) -> list[Parameter]:
        """All that is trained."""

    @property
    def buffers(self) -> list[torch.Tensor]:
        """All that moves without being trained, in place: statistics of batch norm."""

    def forward(self, inputs: Inputs) -> torch.Tensor:
        """Training pass: features float32 [N, D]."""

    def backward(self, gradient: torch.Tensor) -> list[torch.Tensor]:
        """Gradients in the order of `parameters`, from the features' [N, D] of the last `forward`."""

    def score(self, inputs: Inputs) -> torch.Tensor:
        """Evaluation pass: features float32 [N, D]."""

    def state(self) -> dict[str, torch.Tensor]:
        """What is trained or moves, as the backbone names it."""
