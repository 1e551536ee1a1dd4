"""Batched matrix products as they are fastest on a device, and gradients that are kept as their two factors."""

from __future__ import annotations

from dataclasses import dataclass

import torch

ONE_BY_ONE = 10
"""On a CPU up to this many products are made one after the other: the batched routine is slow for thin matrices."""


def _one_by_one(left: torch.Tensor) -> bool:
    return left.device.type == "cpu" and left.shape[0] <= ONE_BY_ONE


def multiply(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """[P, a, b] × [P, b, c] → [P, a, c]."""
    if not _one_by_one(left):
        return torch.bmm(left, right)
    result = left.new_empty(left.shape[0], left.shape[1], right.shape[2])
    for index in range(len(left)):
        torch.mm(left[index], right[index], out=result[index])
    return result


@dataclass(frozen=True)
class Outer:
    """A gradient as leftᵀ × right: left [P, B, out] of a layer's outputs, right [P, B, in] of its inputs.

    An optimiser that adds it to a running buffer does so within the product, without ever writing it out.
    """

    left: torch.Tensor
    right: torch.Tensor

    def dense(self) -> torch.Tensor:
        """The gradient itself, [P, out, in]."""
        return multiply(self.left.transpose(1, 2), self.right)

    def add_to(self, target: torch.Tensor, keep: float) -> None:
        """target ← keep · target + gradient, in place."""
        if not _one_by_one(self.left):
            target.baddbmm_(self.left.transpose(1, 2), self.right, beta=keep)
            return
        for index in range(len(target)):
            target[index].addmm_(self.left[index].t(), self.right[index], beta=keep)
