"""Squeeze and excitation (Hu et al. 2018) of pooled features: each is multiplied with a share that follows from all."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


class Excitation(nn.Module):
    """x · sigmoid(W₂ relu(W₁ x + b₁) + b₂) of features [N, width]; W₁ gives `hidden` values.

    The squeeze, a mean over places, is the pooling before it. Put before a mean over places it would give the same,
    since the gate is alike at all of them: mean(g·x) = g·mean(x).
    """

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.reduce = nn.Linear(width, hidden)
        self.expand = nn.Linear(hidden, width)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        gate: torch.Tensor = self.expand(functional.relu(self.reduce(features))).sigmoid()
        return features * gate
