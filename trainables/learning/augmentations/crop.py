"""A part of each image, resized to the whole (Szegedy et al. 2015): bilinear, with antialiasing."""

from __future__ import annotations

import torch
from torchvision.transforms import v2

from search_spaces.settings import augmentation as settings
from trainables.learning.augmentations.augmentation import Batch
from trainables.learning.augmentations.one_by_one import one_by_one


class Crop:
    def __init__(self, same: settings.Augmentation) -> None:
        self.scale, self.ratio = same.scale, same.ratio

    def draw(self, batch: Batch) -> torch.Tensor:
        return batch.seeds("crop")

    def apply(self, images: torch.Tensor, drawn: torch.Tensor) -> torch.Tensor:
        transform = v2.RandomResizedCrop(images.shape[-1], self.scale, self.ratio)
        return one_by_one(transform, images, drawn)
