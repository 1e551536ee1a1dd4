"""Mirrored left to right, top to bottom, or both, anew each time that an image is seen."""

from __future__ import annotations

import numpy as np
import torch

from search_spaces.settings import augmentation as settings
from trainables.learning.augmentations.augmentation import Batch
from trainables.learning.bodies.body import Inputs


class Flips:
    draws = 1

    def __init__(self, same: settings.Augmentation) -> None:
        self.chance = same.chance

    def draw(self, batch: Batch) -> tuple[torch.Tensor, ...]:
        """bool [2, R·B]: whether an image is mirrored left to right, and top to bottom."""
        drawn = [one.random((2, batch.size)) < self.chance for one in batch.generators("flips")]
        return (torch.from_numpy(np.concatenate(drawn, axis=1)),)

    def apply(self, inputs: Inputs, targets: torch.Tensor, *drawn: torch.Tensor) -> tuple[Inputs, torch.Tensor]:
        (images,), (mirrored,) = inputs, drawn
        for axis, chosen in zip((3, 2), mirrored, strict=True):
            images = torch.where(chosen.view(-1, 1, 1, 1), images.flip(axis), images)
        return (images,), targets
