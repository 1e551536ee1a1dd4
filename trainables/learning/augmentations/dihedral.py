"""One of the eight ways to lay a square on itself: right angles, mirrored or not, all alike."""

from __future__ import annotations

import torch

from search_spaces.settings import augmentation as settings
from trainables.data.views import SYMMETRIES, apply_views
from trainables.learning.augmentations.augmentation import Batch


class Dihedral:
    def __init__(self, same: settings.Augmentation) -> None:
        """It has no settings."""

    def draw(self, batch: Batch) -> torch.Tensor:
        """int64 [R·B]: the view of each image."""
        return batch.seeds("dihedral") % SYMMETRIES

    def apply(self, images: torch.Tensor, drawn: torch.Tensor) -> torch.Tensor:
        return apply_views(images, drawn, images.shape[-1], crops=1)
