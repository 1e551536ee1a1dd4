"""Mirrored left to right, top to bottom, or both, anew each time that an image is seen."""

from __future__ import annotations

import numpy as np
import torch

from search_spaces.settings import augmentation as settings
from trainables.learning.augmentations.augmentation import Batch


class Flips:
    def __init__(self, same: settings.Augmentation) -> None:
        self.chance = same.chance

    def draw(self, batch: Batch) -> torch.Tensor:
        """bool [R·B, 2]: whether an image is mirrored left to right, and top to bottom."""
        drawn = [one.random((2, batch.size)) < self.chance for one in batch.generators("flips")]
        return torch.from_numpy(np.concatenate(drawn, axis=1)).T

    def apply(self, images: torch.Tensor, drawn: torch.Tensor) -> torch.Tensor:
        for axis, chosen in zip((3, 2), drawn.to(images.device).T, strict=True):
            images = torch.where(chosen.view(-1, 1, 1, 1), images.flip(axis), images)
        return images
