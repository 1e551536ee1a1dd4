"""Images as they are."""

from __future__ import annotations

import torch

from search_spaces.settings import augmentation as settings
from trainables.learning.augmentations.augmentation import Batch


class NoAugmentation:
    def __init__(self, same: settings.Augmentation) -> None:
        """It has no settings."""

    def draw(self, batch: Batch) -> torch.Tensor:
        return torch.empty(len(batch.repeats) * batch.size, 0)

    def apply(self, images: torch.Tensor, drawn: torch.Tensor) -> torch.Tensor:
        return images
