"""Exponential averages of tensors that are trained or move, as `torch.optim.swa_utils.AveragedModel` has them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch


class Averages:
    """Of each tensor its value after the first step, then kept · average + (1 − kept) · value after every other.

    Before the first step they are the tensors' values. What is no floating point number (a count of batches) is taken
    as it is. kept: 0 ≤ kept < 1; at 0 the average is the value, and nothing is held.
    """

    def __init__(self, tensors: Sequence[torch.Tensor], kept: float) -> None:
        self.kept = kept
        self.tensors = list(tensors) if kept else []
        self.values = [tensor.clone() for tensor in self.tensors]
        self.begun = torch.zeros((), device=tensors[0].device)
        """1 after the first step; it lies on the device, where a recorded step reads it."""

    @torch.no_grad()
    def update(self) -> None:
        """After a step; nothing is read on the host."""
        if not self.tensors:
            return
        new = 1.0 - self.kept * self.begun
        for value, tensor in zip(self.values, self.tensors, strict=True):
            if value.is_floating_point():
                value.lerp_(tensor, new)
            else:
                value.copy_(tensor)
        self.begun.fill_(1.0)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The tensors hold their averages within; no bit of either changes by it."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    @torch.no_grad()
    def _swap(self) -> None:
        for value, tensor in zip(self.values, self.tensors, strict=True):
            held = tensor.clone()
            tensor.copy_(value)
            value.copy_(held)

    def state(self) -> dict[str, torch.Tensor]:
        """What checkpoints hold of them, by name; nothing where nothing is held."""
        named = {f"average.{place}": value for place, value in enumerate(self.values)}
        return {**named, "average.begun": self.begun} if named else {}
