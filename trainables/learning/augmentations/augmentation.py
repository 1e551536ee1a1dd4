"""The contract of an augmentation."""

from __future__ import annotations

from typing import ClassVar, NamedTuple, Protocol

import numpy as np
import torch

from search_spaces.settings import augmentation as settings
from trainables.learning.bodies.body import Inputs
from trainables.learning.draws import generator


class Batch(NamedTuple):
    """The rows of one step: `size` for each repeat, from position `first` of the epoch on."""

    seed: int
    repeats: tuple[int, ...]
    epoch: int
    first: int
    size: int

    def generators(self, purpose: str) -> list[np.random.Generator]:
        """One for each repeat, which no other batch, repeat or purpose has."""
        return [generator(self.seed, "augmentation", purpose, r, self.epoch, self.first) for r in self.repeats]


class Augmentation(Protocol):
    """Changes what a body reads in training. `search_spaces.settings.augmentation.AUGMENTATIONS` names them all.

    A variant that says `from_pixels` is given standardised images, another what the frozen part gives.
    """

    draws: ClassVar[int]
    """Tensors that `draw` gives."""

    def __init__(self, same: settings.Augmentation) -> None:
        """same: settings of the stack."""

    def draw(self, batch: Batch) -> tuple[torch.Tensor, ...]:
        """All that is random of a batch of R repeats and B rows each, on the host, of shapes that follow from R and B.

        A pure function of the batch, so that whoever goes on draws the same.
        """

    def apply(self, inputs: Inputs, targets: torch.Tensor, *drawn: torch.Tensor) -> tuple[Inputs, torch.Tensor]:
        """Inputs and targets in the place of those given, which stay as they are; nothing is read on the host.

        inputs: tensors float32 [R·B, …], repeat by repeat. targets: float32 [R, 1, B, outputs], see `Loss`. drawn: what
        `draw` gave, on the device.
        """


def augmentation_of(same: settings.Augmentation) -> Augmentation:
    kind: type[Augmentation] = settings.AUGMENTATIONS.load(same.name)
    return kind(same)
