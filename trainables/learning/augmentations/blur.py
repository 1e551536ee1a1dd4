"""Each image blurred by a Gaussian of its own width, mirrored at the edges."""

from __future__ import annotations

import math

import torch
from torchvision.transforms import v2

from search_spaces.settings import augmentation as settings
from trainables.learning.augmentations.augmentation import Batch
from trainables.learning.augmentations.one_by_one import one_by_one

SMALLEST = 0.1
"""σ in pixels."""


class Blur:
    def __init__(self, same: settings.Augmentation) -> None:
        self.largest = same.blur

    def draw(self, batch: Batch) -> torch.Tensor:
        return batch.seeds("blur")

    def apply(self, images: torch.Tensor, drawn: torch.Tensor) -> torch.Tensor:
        side = min(2 * math.ceil(3 * self.largest) + 1, 2 * images.shape[-1] - 1)
        return one_by_one(v2.GaussianBlur(side, (SMALLEST, self.largest)), images, drawn)
