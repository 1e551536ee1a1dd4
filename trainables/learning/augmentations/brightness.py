"""Each image brighter or darker."""

from __future__ import annotations

import torch
from torchvision.transforms import v2

from search_spaces.settings import augmentation as settings
from trainables.learning.augmentations.augmentation import Batch
from trainables.learning.augmentations.one_by_one import one_by_one


class Brightness:
    def __init__(self, same: settings.Augmentation) -> None:
        self.transform = v2.ColorJitter(brightness=same.brightness)

    def draw(self, batch: Batch) -> torch.Tensor:
        return batch.seeds("brightness")

    def apply(self, images: torch.Tensor, drawn: torch.Tensor) -> torch.Tensor:
        return one_by_one(self.transform, images, drawn)
