"""What the part of a backbone that steps compute is computed in."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import nn

from search_spaces.settings.adaptation import Arithmetic
from trainables.learning.bodies.body import Inputs
from trainables.machine.arithmetic import allowing_tf32


@contextlib.contextmanager
def computing_in(arithmetic: Arithmetic, device: torch.device, *, backward: bool = False) -> Iterator[None]:
    """What matrix products and convolutions multiply.

    fp32: IEEE float32. tf32: TF32 on a GPU that has it, else IEEE float32. bf16: bfloat16, and what lies between them
    as torch's autocast has it. backward: such a pass takes its types from the forward pass, which autocast is for.
    """
    if arithmetic == "bf16" and not backward:
        with torch.autocast(device.type, dtype=torch.bfloat16):
            yield
    elif arithmetic == "tf32" and device.type == "cuda":
        with allowing_tf32():
            yield
    else:
        yield


def features_of(module: nn.Module, inputs: Inputs, arithmetic: Arithmetic) -> torch.Tensor:
    """float32 [N, D] of what a network computes, in this arithmetic."""
    with computing_in(arithmetic, inputs[0].device):
        features: torch.Tensor = module(inputs)
        return features.to(torch.float32)
