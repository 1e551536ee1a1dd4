"""Rates that may differ between the configurations of a stack, laid over the tensors that these share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from types import EllipsisType
from typing import NamedTuple

import torch

Rate = float | torch.Tensor
"""One number for all of a parameter, or one per configuration, shaped to be broadcast over it."""


class Seat(NamedTuple):
    """A lane's place in a stack of so many lanes and configurations: lane r·C + c is repeat r of configuration c."""

    lane: int
    lanes: int
    configurations: int


@dataclass
class Parameter:
    """A tensor to be trained, in place, and how it is shared out to the configurations of a stack.

    axis is the one along which configurations follow one another `times` times over, each `span` entries long; a tensor
    of one configuration needs none of the three. is_weight: of a lane it has two dimensions or more, as timm tells
    weights from biases and from scales and shifts of norms. lr_factor: of the learning rate.
    """

    tensor: torch.Tensor
    axis: int = 0
    times: int = 1
    span: int = 1
    is_weight: bool = True
    lr_factor: float = 1.0

    def rate(self, values: Sequence[float]) -> Rate:
        """One value per configuration → what this tensor is multiplied with."""
        if len(set(values)) == 1:
            return float(values[0])
        each = torch.tensor(list(values), dtype=torch.float32, device=self.tensor.device)
        shape = [1] * self.tensor.dim()
        shape[self.axis] = -1
        return each.repeat_interleave(self.span).repeat(self.times).view(shape)

    def by_lane(self, values: torch.Tensor, configurations: int) -> torch.Tensor:
        """What is laid out like this tensor, of so many configurations, as [R, …, C, …]."""
        if self.axis == 0:
            return values.reshape(self.times, 1, configurations, -1)
        return values.reshape(len(values), math.prod(values.shape[1 : self.axis]), configurations, -1)

    def part(self, seat: Seat) -> tuple[slice | EllipsisType, ...]:
        """Where a lane lies in a tensor that is laid out like this one, in a stack of any width."""
        if seat.lanes == 1:
            return (...,)
        repeat, configuration = divmod(seat.lane, seat.configurations)
        if self.axis == 0:
            return (slice(seat.lane * self.span, (seat.lane + 1) * self.span),)
        between = [slice(None)] * (self.axis - 1)
        return (slice(repeat, repeat + 1), *between, slice(configuration * self.span, (configuration + 1) * self.span))


def add_scaled(target: torch.Tensor, values: torch.Tensor, rate: Rate, sign: float | torch.Tensor) -> None:
    """target ← target + sign · rate · values, in place; sign may be a number that lies on the GPU."""
    if isinstance(sign, torch.Tensor):
        values, sign = values.mul(sign), 1.0
    if isinstance(rate, torch.Tensor):
        target.addcmul_(values, rate, value=sign)
    else:
        target.add_(values, alpha=sign * rate)
