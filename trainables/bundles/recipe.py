"""The fixed rule for how a bundle is computed: from device kind and shapes alone, never from a timer.

On a CPU small heads are stacked: products of thin matrices cost little more together than one of them alone. So are
configurations that differ only in lr, momentum or weight decay, since they read the same rows. Large heads leave the
cache together and are trained in turn. On a GPU heads are stacked whatever their size. Backbones that steps compute,
and heads whose products are not written out, are trained in turn. `benchmarks/stacking.py` measures what the constants
say.
"""

from __future__ import annotations

import torch

from orchestrator.store.schema import BUNDLE_SIZE, Recipe
from search_spaces.configuration import Configuration
from trainables.learning.heads.head import head_of, layers_of
from trainables.learning.heads.layer import parameter_count
from trainables.learning.optimisers.optimiser import rule_of
from trainables.machine.devices import device_name

CPU_STACK_BYTES = 16_000_000
"""Weights and running buffers that a stack may hold on a CPU: about what stays in its caches."""
CUDA_STACK_BYTES = 4_000_000_000
WIDEST = 20
"""Most bundles in one stack: beyond, lanes are limited by their own arithmetic, and fewer workers have work."""
SCORING_VALUES = 32_000_000
"""Frontier values that one scoring batch may hold."""


def decide(
    configuration: Configuration, feature_width: int, frontier: str, values: int, device: torch.device
) -> Recipe:
    """The recipe of a new bundle; values: how many the frontier holds per view."""
    on_gpu = device.type == "cuda"
    stacked = most_bundles(configuration, feature_width, device) > 0
    scoring = max(16, min(4096, SCORING_VALUES // max(1, values)))
    if configuration.live.trains_body:
        scoring = min(scoring, 256 if on_gpu else 32)
    return Recipe(
        device="cuda" if on_gpu else "cpu",
        device_name=device_name(device),
        stacked=stacked,
        threads=1,
        scoring_batch=scoring,
        frontier=frontier,
    )


def most_bundles(configuration: Configuration, feature_width: int, device: torch.device) -> int:
    """How many bundles of ten repeats a stack may hold; 0: not even one, its repeats are trained in turn."""
    if not (configuration.live.has_features and head_of(configuration.head).is_written_out):
        return 0
    head = parameter_count(layers_of(configuration, feature_width))
    each = 4 * BUNDLE_SIZE * head * (1 + rule_of(configuration.optimiser.name).buffers_per_parameter)
    if device.type == "cuda":
        return max(1, min(WIDEST, CUDA_STACK_BYTES // each))
    return min(WIDEST, CPU_STACK_BYTES // each)
