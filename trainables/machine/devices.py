"""What a device is called, for records. No torch is loaded for a processor's name."""

from __future__ import annotations

import contextlib
import platform
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def device_name(device: torch.device) -> str:
    """The GPU's model, or the processor's where the system tells it, else its architecture."""
    if device.type == "cuda":
        import torch

        return str(torch.cuda.get_device_name(device))
    return processor_name()


@lru_cache(maxsize=1)
def processor_name() -> str:
    """The model of the processor where the system tells it, else its architecture."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
