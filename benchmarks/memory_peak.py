"""How much memory an act adds at its highest."""

from __future__ import annotations

import gc
from collections.abc import Callable
from pathlib import Path

import torch

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_RESET_PEAK = "5"


def peak_mib(device: torch.device, act: Callable[[], object]) -> float | None:
    """MiB above what was there before: of the GPU's allocator, or of the process as Linux counts its resident pages.

    What an allocator kept from earlier acts and uses again is not seen. None where the system cannot tell.
    """
    gc.collect()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.empty_cache()
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        act()
        torch.cuda.synchronize(device)
        return float(torch.cuda.max_memory_allocated(device) - before) / 2**20
    try:
        _CLEAR.write_text(_RESET_PEAK)
        resident = _kib("VmRSS")
        act()
        return max(0, _kib("VmHWM") - resident) / 1024
    except OSError:
        act()
        return None


def _kib(name: str) -> int:
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1])
