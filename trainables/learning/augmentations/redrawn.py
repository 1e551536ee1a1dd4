"""Images changed by augmentations where nothing is trained, each by a draw of its own, whatever stands beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from search_spaces.settings import augmentation as settings
from trainables.learning.augmentations.augmentation import Batch, augmentations_of
from trainables.learning.draws import generator


@dataclass(frozen=True)
class Redrawn:
    """What is drawn follows from the study's seed, the purpose, the hash of an image's pixels and a number: it is the
    same for every configuration and repeat. same: of augmentations that mix nothing."""

    same: settings.Augmentation
    seed: int
    purpose: str

    def of(self, images: torch.Tensor, contents: Sequence[str], numbers: Sequence[int]) -> torch.Tensor:
        """Images float32 [n, 3, S, S] in the place of those given, from 0 (black) to 1 (white), on their device.

        contents: hash of the pixels of each. numbers: which of its draws each is.
        """
        alone = [
            Batch(self._seed(content, number), (0,), 0, 0, 1) for content, number in zip(contents, numbers, strict=True)
        ]
        for one in augmentations_of(self.same):
            images = one.apply(images, torch.cat([one.draw(batch) for batch in alone]))
        return images

    def _seed(self, content: str, number: int) -> int:
        return int(generator(self.seed, self.purpose, content, number).integers(2**63))
