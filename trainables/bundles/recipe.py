"""The fixed rule for how lanes are computed: from device kind and shapes alone, never from a timer.

On a CPU small heads are stacked: products of thin matrices cost little more together than one of them alone. So are
configurations that differ only in lr, momentum or weight decay, since they read the same rows. Large heads leave the
cache together and are trained in turn. On a GPU heads are stacked whatever their size. Backbones that steps compute,
and heads whose products are not written out, are trained in turn. `benchmarks/stacking.py` measures what the constants
say.
"""

from __future__ import annotations

import torch

from orchestrator.store.schema import BUNDLE_SIZE
from orchestrator.store.segments import Recipe, Segment
from search_spaces.configuration import Configuration
from trainables.learning.heads.head import head_of, layers_of
from trainables.learning.heads.layer import parameter_count
from trainables.learning.optimisers.optimiser import rule_of
from trainables.machine.devices import device_name

CPU_STACK_BYTES = 16_000_000
"""Weights and running buffers that a stack may hold on a CPU: about what stays in its caches."""
CUDA_STACK_BYTES = 4_000_000_000
WIDEST = 20
"""Most configurations in one stack: beyond, lanes are limited by their own arithmetic, and fewer workers have work."""
SCORING_VALUES = 32_000_000
"""Frontier values that one scoring batch may hold."""


def decide(segment: Segment, configuration: Configuration, frontier: str, values: int, device: torch.device) -> Recipe:
    """The recipe of a segment that nobody began; configuration: any of its own. values: the frontier's, per view."""
    return Recipe(
        segment=segment,
        device="cuda" if device.type == "cuda" else "cpu",
        device_name=device_name(device),
        threads=1,
        scoring_batch=scoring_batch(configuration, values, device),
        frontier=frontier,
    )


def scoring_batch(configuration: Configuration, values: int, device: torch.device) -> int:
    """How many rows are scored at a time; values: how many the frontier holds per view."""
    rows = max(16, min(4096, SCORING_VALUES // max(1, values)))
    if configuration.live.trains_body:
        return min(rows, 256 if device.type == "cuda" else 32)
    return rows


def is_stacked(configuration: Configuration, feature_width: int, device: torch.device) -> bool:
    """Whether its repeats are trained as one batched product, not one after the other."""
    return most_bundles(configuration, feature_width, device) > 0


def most_bundles(configuration: Configuration, feature_width: int, device: torch.device) -> int:
    """How many configurations, of ten repeats each, a stack may hold; 0: not even one, repeats are trained in turn."""
    if not (configuration.live.has_features and head_of(configuration.head).is_written_out):
        return 0
    head = parameter_count(layers_of(configuration, feature_width))
    each = 4 * BUNDLE_SIZE * head * (1 + rule_of(configuration.optimiser.name).buffers_per_parameter)
    if device.type == "cuda":
        return max(1, min(WIDEST, CUDA_STACK_BYTES // each))
    return min(WIDEST, CPU_STACK_BYTES // each)
