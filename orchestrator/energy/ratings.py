"""The power that a device is rated at, for the time in which nobody measured it."""

from __future__ import annotations

from dataclasses import dataclass

MAKERS = "maker's board power"
CORE_WATTS = 12.0
ANY_GPU_WATTS = 200.0
_GREEN = "Green Algorithms, Lannelongue and others 2021, for any"

_BOARDS: tuple[tuple[str, float], ...] = (
    ("GH200", 700),
    ("H200", 700),
    ("H100 PCIe", 350),
    ("H100", 700),
    ("A100-PCIE", 250),
    ("A100 80GB PCIe", 300),
    ("A100", 400),
    ("L40", 300),
    ("L4", 72),
    ("A40", 300),
    ("A30", 165),
    ("A10", 150),
    ("V100S", 250),
    ("V100-PCIE", 250),
    ("V100", 300),
    ("P100", 250),
    ("K80", 300),
    ("Tesla P4", 75),
    ("T4", 70),
    ("RTX 4090", 450),
    ("RTX 3090", 350),
    ("RTX 2080 Ti", 250),
    ("RTX 2080", 215),
    ("GTX 1080 Ti", 250),
    ("GTX 1080", 180),
)
"""Part of a GPU's name as its driver gives it → watts; the first that fits counts."""


@dataclass(frozen=True)
class Rating:
    """watts: of one GPU, or of one core of a processor."""

    watts: float
    source: str


def rating_of(device: str, kind: str, gpu_watts: float | None = None, core_watts: float | None = None) -> Rating:
    """Of a GPU (kind "cuda") by its name, or of one processor core; a number that the user gives comes first."""
    if kind == "cuda":
        if gpu_watts is not None:
            return Rating(gpu_watts, "--gpu-watts")
        for part, watts in _BOARDS:
            if part.lower() in device.lower():
                return Rating(watts, f"{part}, {MAKERS}")
        return Rating(ANY_GPU_WATTS, f"unknown model; {_GREEN} GPU")
    if core_watts is not None:
        return Rating(core_watts, "--core-watts")
    return Rating(CORE_WATTS, f"{_GREEN} core")
