"""Focal loss (Lin et al. 2017, arXiv 1708.02002): well-predicted images count less.

With one output and labels it is `torchvision.ops.sigmoid_focal_loss(alpha=-1)`; α is what class weights are for.
"""

from __future__ import annotations

import torch

from search_spaces.settings import loss as settings

LEAST = 1e-30
"""Left to certainty: a power below 1 has no slope at 0."""


class Focal:
    def __init__(self, same: settings.Loss, shares: torch.Tensor | None) -> None:
        self.gamma = same.gamma

    def each(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Σ t·(1 − p)^γ·(−log p) over the classes."""
        if logits.shape[-1] == 1:
            logits, targets = torch.cat([-logits, logits], -1) / 2, torch.cat([1 - targets, targets], -1)
        logs = torch.log_softmax(logits, dim=-1)
        left = (-torch.expm1(logs)).clamp_min(LEAST)
        return -(targets * left**self.gamma * logs).sum(dim=-1)
