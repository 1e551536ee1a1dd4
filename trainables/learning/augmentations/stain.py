"""Each image stained more or less: its haematoxylin, eosin and DAB scaled and shifted (Tellez et al. 2018).

Amounts of stain are optical densities (natural logarithm) unmixed by the matrix of Ruifrok and Johnston (2001), whose
rows are what the stains absorb of red, green and blue; scikit-image has the same numbers as `rgb_from_hed`.
"""

from __future__ import annotations

import torch

from search_spaces.settings import augmentation as settings
from trainables.learning.augmentations.augmentation import Batch

ABSORBED = torch.tensor([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11], [0.27, 0.57, 0.78]], dtype=torch.float64)
LEAST = 1 / 255
"""Added to each value before its logarithm and taken away in the end, so that black has one."""


class Stain:
    def __init__(self, same: settings.Augmentation) -> None:
        self.largest = same.stain

    def draw(self, batch: Batch) -> torch.Tensor:
        """float32 [R·B, 2, 3] from −1 to 1: what each stain's amount is scaled by, and shifted by."""
        seeds = batch.seeds("stain").tolist()
        drawn = [torch.rand(6, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
        return torch.stack(drawn).view(-1, 2, 3).mul(2).sub(1)

    def apply(self, images: torch.Tensor, drawn: torch.Tensor) -> torch.Tensor:
        """Unmixed, changed and mixed again in one product: of logarithms of red, green and blue by three times three
        numbers for each image, plus three."""
        scaled, shifted = (self.largest * drawn.double()).unbind(1)
        mixed = torch.linalg.inv(ABSORBED) @ torch.diag_embed(1 + scaled) @ ABSORBED
        numbers = torch.cat([mixed, (-shifted @ ABSORBED).unsqueeze(1)], dim=1).to(images)[..., None, None]
        red, green, blue = images.add(LEAST).log_().unsqueeze(2).unbind(1)
        changed = red * numbers[:, 0] + green * numbers[:, 1] + blue * numbers[:, 2] + numbers[:, 3]
        return changed.exp_().sub_(LEAST).clamp_(0, 1)
