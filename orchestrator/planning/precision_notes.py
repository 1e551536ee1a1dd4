"""What the other precision of frozen features would save on this machine, and at what cost; what it cannot compute."""

from __future__ import annotations

from collections.abc import Iterable

import torch

from search_spaces.configuration import Configuration
from trainables.machine.arithmetic import multiplies_tf32

FASTER = (
    "--precision bf16 computes the frozen part faster on this GPU, but shifts validation losses, by 0.02 to 0.03 where "
    "this was measured"
)

NO_TF32 = 'This machine has no TF32: adaptation.arithmetic "tf32" gives what "fp32" gives, bit for bit'


def precision_notes(owing: Iterable[Configuration], features_s: float) -> list[str]:
    """Of configurations that are still to be trained, and the time that their features take."""
    waits = any(c.network.precision == "fp32" and (features_s or c.live.from_pixels) for c in owing)
    return [FASTER] if waits and multiplies_bf16() else []


def multiplies_bf16() -> bool:
    """Whether there is a GPU with units for bfloat16: since Ampere."""
    return torch.cuda.is_available() and torch.cuda.get_device_capability() >= (8, 0)


def arithmetic_notes(owing: Iterable[Configuration], device: torch.device) -> list[str]:
    """Of configurations that are still to be trained on such devices."""
    wants = any(c.adaptation.arithmetic == "tf32" for c in owing)
    return [NO_TF32] if wants and not multiplies_tf32(device) else []
