"""MixUp (Zhang et al. 2018): each image, or its features, mixed with another of its batch, and so are their targets."""

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
        others, shares = drawn
        rows = len(others)
        left = 1 - shares.repeat_interleave(rows // len(shares), output_size=rows)

        def mixed(values: torch.Tensor) -> torch.Tensor:
            return values.lerp(values.index_select(0, others), left.view(-1, *[1] * (values.ndim - 1)))

        return tuple(map(mixed, inputs)), mixed(targets.flatten(0, 2)).view(targets.shape)
