"""Cross entropy of logits moved by the classes' shares (Menon et al. 2021, arXiv 2007.07314, equation 10).

With τ = 1 it is the balanced softmax (Ren et al. 2020, arXiv 2007.10740). What is scored are the logits as they are.
"""

from __future__ import annotations

import torch

from orchestrator.store.errors import InputError
from search_spaces.settings import loss as settings
from trainables.learning.losses.cross_entropy import CrossEntropy


class LogitAdjusted:
    def __init__(self, same: settings.Loss, shares: torch.Tensor | None) -> None:
        """Raises InputError where a class has no training image."""
        if shares is not None and not bool((shares > 0).all()):
            absent = ", ".join(str(place) for place, share in enumerate(shares.tolist()) if not share)
            raise InputError(f"loss: expected at least one training image of every class, found none of class {absent}")
        self.towards = 0.0 if shares is None else same.tau * shares.log()
        self._of = CrossEntropy(same, shares)

    def each(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return self._of.each(self._moved(logits), targets)

    def gradient(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return self._of.gradient(self._moved(logits), targets)

    def _moved(self, logits: torch.Tensor) -> torch.Tensor:
        """With one output by the difference of both classes."""
        if isinstance(self.towards, torch.Tensor) and logits.shape[-1] == 1:
            return logits + (self.towards[1] - self.towards[0])
        return logits + self.towards
