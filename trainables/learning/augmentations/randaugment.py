"""RandAugment (Cubuk et al. 2020): operations drawn from fourteen; what comes in from outside is grey."""

from __future__ import annotations

import torch
from torchvision.transforms import v2

from search_spaces.settings import augmentation as settings
from trainables.learning.augmentations.augmentation import Batch
from trainables.learning.augmentations.one_by_one import GREY, one_by_one


class RandAugmentation:
    def __init__(self, same: settings.Augmentation) -> None:
        self.transform = v2.RandAugment(same.operations, same.magnitude, fill=GREY)

    def draw(self, batch: Batch) -> torch.Tensor:
        return batch.seeds("randaugment")

    def apply(self, images: torch.Tensor, drawn: torch.Tensor) -> torch.Tensor:
        return one_by_one(self.transform, images, drawn)
