"""The heads of all lanes of a stack: the contract, and who computes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch

from search_spaces.configuration import Configuration
from trainables.learning.heads.head import head_of, layers_of
from trainables.learning.heads.layer import Layers
from trainables.learning.heads.recorded import Recorded
from trainables.learning.heads.written_out import WrittenOut
from trainables.learning.optimisers.rates import Parameter
from trainables.learning.products import Outer


class Heads(Protocol):
    """R repeats of each of C configurations, whose layers are equal: lane r·C + c is repeat r of configuration c."""

    layers: Layers
    buffers: list[torch.Tensor]
    """All that moves without being trained, in place: running statistics."""

    @property
    def parameters(self) -> list[Parameter]:
        """All that is trained."""

    def forward(self, features: torch.Tensor, masks: Sequence[torch.Tensor]) -> torch.Tensor:
        """Training pass: [R, B, D] → logits [R, C, B, outputs]; masks [R, B, width], one for each dropout."""

    def backward(self, gradient: torch.Tensor, *, to_features: bool = False) -> list[torch.Tensor | Outer]:
        """Gradients in the order of `parameters`, from the logits' [R, C, B, outputs] of the last `forward`.

        With to_features one more is appended: the features' [R, B, D].
        """

    def score(self, features: torch.Tensor) -> torch.Tensor:
        """Evaluation pass: [N, D], the same for all → [R·C, N, outputs]."""

    def state_of(self, lane: int) -> dict[str, torch.Tensor]:
        """One lane's values as the plain modules name them: "0.weight" [out, in], "1.running_mean" …"""


def initial_heads(
    configurations: Sequence[Configuration], repeats: Sequence[int], width: int, device: torch.device
) -> Heads:
    """Of a stack, before its first step; a repeat number gives the same weights wherever the shapes are the same."""
    first, layers = configurations[0], layers_of(configurations[0], width)
    if head_of(first.head).is_written_out:
        return WrittenOut.initial(layers, first.data.seed, repeats, len(configurations), device)
    if len(configurations) * len(repeats) > 1:
        raise ValueError(f'the lanes of a head "{first.head.name}" are trained in turn')
    return Recorded.initial(layers, first.data.seed, repeats[0], device)
