"""Images as they are."""

from __future__ import annotations

import torch

from search_spaces.settings import augmentation as settings
from trainables.learning.augmentations.augmentation import Batch
from trainables.learning.bodies.body import Inputs


class NoAugmentation:
    draws = 0

    def __init__(self, same: settings.Augmentation) -> None:
        """It has no settings."""

    def draw(self, batch: Batch) -> tuple[torch.Tensor, ...]:
        return ()

    def apply(self, inputs: Inputs, targets: torch.Tensor, *drawn: torch.Tensor) -> tuple[Inputs, torch.Tensor]:
        return inputs, targets
