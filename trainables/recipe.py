"""The fixed rule for how a bundle is computed: from device kind and shapes alone, never from a timer.

On a CPU small heads are stacked, because one batched product costs hardly more than one of its lanes; the weights of
large ones leave the cache together and are trained in turn. On a GPU heads are stacked whatever their size. Unfrozen
backbones are trained in turn.
"""

from __future__ import annotations

import contextlib
import platform
from functools import lru_cache
from pathlib import Path

import torch

from orchestrator.store.schema import Configuration, Recipe
from trainables.heads import head_parameters

STACKED_CPU_PARAMETERS = 200_000
"""Largest head, in weights and biases, that is stacked on a CPU."""
SCORING_VALUES = 32_000_000
"""Frontier values that one scoring batch may hold."""


def decide(
    configuration: Configuration, feature_width: int, frontier: str, values: int, device: torch.device
) -> Recipe:
    """The recipe of a new bundle; values: how many the frontier holds per view."""
    head = head_parameters(feature_width, configuration.non_linearities, configuration.outputs)
    on_gpu = device.type == "cuda"
    stacked = configuration.unfrozen == 0 and (on_gpu or head <= STACKED_CPU_PARAMETERS)
    scoring = max(16, min(4096, SCORING_VALUES // max(1, values)))
    if configuration.unfrozen:
        scoring = min(scoring, 256 if on_gpu else 32)
    return Recipe(
        device="cuda" if on_gpu else "cpu",
        device_name=device_name(device),
        stacked=stacked,
        threads=1,
        scoring_batch=scoring,
        frontier=frontier,
    )


def device_name(device: torch.device) -> str:
    """The GPU's model, or the processor's where the system tells it, else its architecture."""
    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    return _processor()


@lru_cache(maxsize=1)
def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
