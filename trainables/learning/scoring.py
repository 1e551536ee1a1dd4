"""Losses and predictions of logits."""

from __future__ import annotations

import torch
from torch.nn import functional


def losses(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Unweighted cross entropy in nats per image, float32 [lanes, N]; logits [lanes, N, outputs], targets [N]."""
    if logits.shape[-1] == 1:
        margin = logits.squeeze(-1)
        return functional.softplus(margin) - margin * targets
    truth = logits.gather(-1, targets.expand(len(logits), -1).unsqueeze(-1)).squeeze(-1)
    return torch.logsumexp(logits, dim=-1) - truth


def predictions(logits: torch.Tensor) -> torch.Tensor:
    """Predicted class indices int64 [lanes, N]: above zero for one output, else the largest."""
    if logits.shape[-1] == 1:
        return (logits.squeeze(-1) > 0).long()
    return logits.argmax(dim=-1)
