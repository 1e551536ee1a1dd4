"""A rectangle of an image made grey (Zhong et al. 2020), of a ratio from 0.3 to 3.3."""

from __future__ import annotations

import torch
from torchvision.transforms import v2

from search_spaces.settings import augmentation as settings
from trainables.learning.augmentations.augmentation import Batch
from trainables.learning.augmentations.one_by_one import GREY, one_by_one


class Erasing:
    def __init__(self, same: settings.Augmentation) -> None:
        self.transform = v2.RandomErasing(same.erasing, same.erased, value=GREY)

    def draw(self, batch: Batch) -> torch.Tensor:
        return batch.seeds("erasing")

    def apply(self, images: torch.Tensor, drawn: torch.Tensor) -> torch.Tensor:
        return one_by_one(self.transform, images, drawn)
