"""CutMix (Yun et al. 2019): a box of another image of its batch put in, and targets mixed by the area of that."""

from __future__ import annotations

import numpy as np
import torch

from search_spaces.settings import augmentation as settings
from trainables.learning.augmentations.augmentation import Batch
from trainables.learning.bodies.body import Inputs


class CutMix:
    draws = 2

    def __init__(self, same: settings.Augmentation) -> None:
        self.alpha = same.cutmix_alpha

    def draw(self, batch: Batch) -> tuple[torch.Tensor, ...]:
        """Whose box each gets, int64 [R·B], of the same repeat; float64 [R, 3]: half of the box's side and its centre
        from left and top, as shares of the image's side. One box for a batch, as the authors have it."""
        others, boxes = [], []
        for place, one in enumerate(batch.generators("cutmix")):
            others.append(one.permutation(batch.size) + place * batch.size)
            boxes.append([np.sqrt(1 - one.beta(self.alpha, self.alpha)) / 2, *one.random(2)])
        return torch.from_numpy(np.concatenate(others)), torch.tensor(boxes, dtype=torch.float64)

    def apply(self, inputs: Inputs, targets: torch.Tensor, *drawn: torch.Tensor) -> tuple[Inputs, torch.Tensor]:
        (images,), (others, boxes) = inputs, drawn
        side = images.shape[-1]
        half, left, top = (boxes * side).floor().unsqueeze(2).unbind(1)
        places = torch.arange(side, device=images.device)
        across, down = ((places >= one - half) & (places < one + half) for one in (left, top))
        box = (down.unsqueeze(2) & across.unsqueeze(1)).repeat_interleave(
            len(images) // len(boxes), dim=0, output_size=len(images)
        )
        share = (box.sum(dim=(1, 2)) / side**2).view(-1, 1)
        flat = targets.flatten(0, 2)
        put_in = torch.where(box.unsqueeze(1), images.index_select(0, others), images)
        return (put_in,), flat.lerp(flat.index_select(0, others), share).view(targets.shape)
