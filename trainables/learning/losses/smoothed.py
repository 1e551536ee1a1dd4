"""Label smoothing (Szegedy et al. 2016), as `torch.nn.CrossEntropyLoss(label_smoothing=…)` has it."""

from __future__ import annotations

import torch

from search_spaces.settings import loss as settings
from trainables.learning.losses.cross_entropy import CrossEntropy


class Smoothed:
    def __init__(self, same: settings.Loss, shares: torch.Tensor | None) -> None:
        self.smoothing = same.smoothing
        self._of = CrossEntropy(same, shares)

    def each(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return self._of.each(logits, self._smooth(targets))

    def gradient(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return self._of.gradient(logits, self._smooth(targets))

    def _smooth(self, targets: torch.Tensor) -> torch.Tensor:
        classes = max(2, targets.shape[-1])
        return targets * (1.0 - self.smoothing) + self.smoothing / classes
