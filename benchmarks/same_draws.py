"""The product's own initial weights, orders and dropout masks for a plain torch head, so that results can be compared.

A benchmark's rival draws as torch does while it is timed; with these it must give the product's losses.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import nn

from trainables.learning.draws import dropout_masks, epoch_order, initial_layer, mask_keys


class MaskedDropout(nn.Module):
    """Dropout whose masks follow from seed, repeat, layer, epoch and position; `begin` says where a batch lies."""

    def __init__(self, seed: int, repeat: int, layer: int, dropout: float) -> None:
        super().__init__()
        self.seed, self.repeat, self.layer, self.dropout = seed, repeat, layer, dropout
        self.epoch = self.first = 0

    def begin(self, epoch: int, first: int) -> None:
        """Epochs count from 1; first: position of the batch's first sample within the epoch."""
        self.epoch, self.first = epoch, first

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        if not self.training:
            return hidden
        keys = mask_keys(self.seed, [self.repeat], self.epoch, self.layer).to(hidden.device)
        return hidden * dropout_masks(keys, self.first, len(hidden), hidden.shape[1], self.dropout)[0]


def prepared(head: nn.Sequential, seed: int, repeat: int) -> nn.Sequential:
    """The same head with the product's initial weights and masks of dropout."""
    parts: list[nn.Module] = []
    layer = 0
    for part in head:
        if isinstance(part, nn.Linear):
            weight, bias = initial_layer(seed, repeat, layer, part.in_features, part.out_features)
            with torch.no_grad():
                part.weight.copy_(torch.from_numpy(weight.T))
                part.bias.copy_(torch.from_numpy(bias))
            layer += 1
        parts.append(MaskedDropout(seed, repeat, layer - 1, part.p) if isinstance(part, nn.Dropout) else part)
    return nn.Sequential(*parts)


def begin(head: nn.Module, epoch: int, first: int) -> None:
    """Tell every dropout of the head which batch comes next."""
    for part in head.modules():
        if isinstance(part, MaskedDropout):
            part.begin(epoch, first)


def order(seed: int, repeat: int, epoch: int, rows: int) -> torch.Tensor:
    """The order of an epoch's training rows, int64 [rows]; epochs count from 1."""
    return torch.from_numpy(epoch_order(seed, repeat, epoch, rows))


class SameOrder(torch.utils.data.Sampler[int]):
    """The product's order for a DataLoader; every pass over it is the next epoch."""

    def __init__(self, seed: int, repeat: int, rows: int) -> None:
        self.seed, self.repeat, self.rows = seed, repeat, rows
        self.epoch = 0

    def __iter__(self) -> Iterator[int]:
        self.epoch += 1
        return iter(np.asarray(epoch_order(self.seed, self.repeat, self.epoch, self.rows)).tolist())

    def __len__(self) -> int:
        return self.rows
