"""One of several ways to mix, drawn for each step and repeat, all alike; none of them where there is none."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from trainables.learning.augmentations.augmentation import Batch, Mixing
from trainables.learning.bodies.body import Inputs


class OneOf:
    def __init__(self, mixings: Sequence[Mixing]) -> None:
        self.mixings = mixings
        self.draws = sum(one.draws for one in mixings) + (len(mixings) > 1)

    def draw(self, batch: Batch) -> tuple[torch.Tensor, ...]:
        """What each of them draws; of several also which one is taken, int64 [R·B], of each repeat one."""
        drawn = tuple(tensor for one in self.mixings for tensor in one.draw(batch))
        if len(self.mixings) < 2:
            return drawn
        chosen = [one.integers(len(self.mixings)) for one in batch.generators("mixing")]
        return *drawn, torch.from_numpy(np.repeat(chosen, batch.size))

    def apply(self, inputs: Inputs, targets: torch.Tensor, *drawn: torch.Tensor) -> tuple[Inputs, torch.Tensor]:
        """See `Mixing`. A recorded step has all of them, as it is the same whichever is taken."""
        chosen, place = (inputs, targets), 0
        for number, one in enumerate(self.mixings):
            mixed = one.apply(inputs, targets, *drawn[place : place + one.draws])
            place += one.draws
            chosen = mixed if number == 0 else _where(drawn[-1] == number, mixed, chosen)
        return chosen


def _where(
    chosen: torch.Tensor, one: tuple[Inputs, torch.Tensor], other: tuple[Inputs, torch.Tensor]
) -> tuple[Inputs, torch.Tensor]:
    """chosen: bool [R·B]."""

    def of(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return torch.where(chosen.view(-1, *[1] * (a.ndim - 1)), a, b)

    targets = of(one[1].flatten(0, 2), other[1].flatten(0, 2)).view(one[1].shape)
    return tuple(of(a, b) for a, b in zip(one[0], other[0], strict=True)), targets
