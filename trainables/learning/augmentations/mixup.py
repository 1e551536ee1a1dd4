"""MixUp (Zhang et al. 2018): each image mixed with another of its batch, and so are their targets."""

from __future__ import annotations

import numpy as np
import torch

from search_spaces.settings import augmentation as settings
from trainables.learning.augmentations.augmentation import Batch
from trainables.learning.bodies.body import Inputs


class MixUp:
    draws = 2

    def __init__(self, same: settings.Augmentation) -> None:
        self.alpha = same.alpha

    def draw(self, batch: Batch) -> tuple[torch.Tensor, ...]:
        """Which row each is mixed with, int64 [R·B], of the same repeat; the share that stays, float32 [R], one for a
        batch as the authors have it."""
        several = batch.generators("mixup")
        others = [one.permutation(batch.size) + place * batch.size for place, one in enumerate(several)]
        shares = np.array([one.beta(self.alpha, self.alpha) for one in several], dtype=np.float32)
        return torch.from_numpy(np.concatenate(others)), torch.from_numpy(shares)

    def apply(self, inputs: Inputs, targets: torch.Tensor, *drawn: torch.Tensor) -> tuple[Inputs, torch.Tensor]:
        (images,), (others, shares) = inputs, drawn
        flat = targets.flatten(0, 2)
        own = shares.repeat_interleave(len(images) // len(shares), output_size=len(images))
        of_images, of_targets = own.view(-1, 1, 1, 1), own.view(-1, 1)
        mixed = images.lerp(images.index_select(0, others), 1 - of_images)
        return (mixed,), flat.lerp(flat.index_select(0, others), 1 - of_targets).view(targets.shape)
