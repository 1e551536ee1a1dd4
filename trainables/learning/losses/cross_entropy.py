"""Cross entropy in nats, with one output of its logistic form."""

from __future__ import annotations

import torch
from torch.nn import functional

from search_spaces.settings import loss as settings


class CrossEntropy:
    def __init__(self, same: settings.Loss, shares: torch.Tensor | None) -> None:
        """It has no settings."""

    def each(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        if logits.shape[-1] == 1:
            return (functional.softplus(logits) - logits * targets).squeeze(-1)
        return -(torch.log_softmax(logits, dim=-1) * targets).sum(dim=-1)

    def gradient(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        chances = torch.sigmoid(logits) if logits.shape[-1] == 1 else torch.softmax(logits, dim=-1)
        return chances.sub_(targets)
