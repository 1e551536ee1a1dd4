"""The contracts of augmentations: what changes images, and what mixes them."""

from __future__ import annotations

from typing import ClassVar, NamedTuple, Protocol

import numpy as np
import torch

from search_spaces.settings import augmentation as settings
from trainables.learning.bodies.body import Inputs
from trainables.learning.draws import generator, image_seeds


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

    def seeds(self, purpose: str) -> torch.Tensor:
        """One number for each image, int64 [R·B], of its repeat, epoch and place in it, whatever batch it is in."""
        places = [image_seeds(self.seed, purpose, r, self.epoch, self.first, self.size) for r in self.repeats]
        return torch.from_numpy(np.concatenate(places))


class Augmentation(Protocol):
    """Changes images, before they are standardised. `search_spaces.settings.augmentation.AUGMENTATIONS` names them all.

    Of several each is given what the one before it made.
    """

    def __init__(self, same: settings.Augmentation) -> None:
        """same: settings of the stack."""

    def draw(self, batch: Batch) -> torch.Tensor:
        """All that is random of a batch of R repeats and B rows each, [R·B, …] on the host, image by image.

        A pure function of the batch, so that whoever goes on draws the same.
        """

    def apply(self, images: torch.Tensor, drawn: torch.Tensor) -> torch.Tensor:
        """Images in the place of those given, which stay as they are.

        images: float32 [R·B, 3, S, S] on the device, from 0 (black) to 1 (white). drawn: what `draw` gave, on the host.
        """


class Mixing(Protocol):
    """Mixes inputs of a batch and their targets: standardised images, or what the frozen part gives.

    A variant says `mixes`, and by `from_pixels` which of the two.
    """

    draws: ClassVar[int]
    """Tensors that `draw` gives."""

    def __init__(self, same: settings.Augmentation) -> None:
        """same: settings of the stack."""

    def draw(self, batch: Batch) -> tuple[torch.Tensor, ...]:
        """All that is random of a batch, on the host, of shapes that follow from R and B; a pure function of it."""

    def apply(self, inputs: Inputs, targets: torch.Tensor, *drawn: torch.Tensor) -> tuple[Inputs, torch.Tensor]:
        """Inputs and targets in the place of those given, which stay as they are; nothing is read on the host.

        inputs: tensors float32 [R·B, …], repeat by repeat. targets: float32 [R, 1, B, outputs], see `Loss`. drawn: what
        `draw` gave, on the device.
        """


def augmentations_of(same: settings.Augmentation) -> list[Augmentation]:
    """Those that change images, in the order in which they are applied."""
    kinds = [one for one in same.variants if one.from_pixels and not one.mixes]
    return [settings.AUGMENTATIONS.load(one.name)(same) for one in kinds]


def mixings_of(same: settings.Augmentation) -> list[Mixing]:
    """Those that mix, of which each step takes one."""
    return [settings.AUGMENTATIONS.load(one.name)(same) for one in same.variants if one.mixes]
