"""How much memory a trial needs on its device, an upper estimate from shapes alone, and what share of a GPU that is."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from orchestrator.store.schema import BUNDLE_SIZE
from search_spaces.configuration import Configuration
from trainables.bundles.work import Work
from trainables.bundles.workbench import Workbench
from trainables.learning.heads.head import layers_of
from trainables.learning.heads.layer import linear, parameter_count
from trainables.learning.optimisers.optimiser import rule_of

MOST_TRIALS_PER_GPU = 8
CONTEXT_BYTES = 800_000_000
"""What a process takes of a GPU before it holds any tensor."""
ACTIVATIONS_PER_FRONTIER_VALUE = 24
"""Values kept for the backward pass per frontier value, a rule of thumb for the blocks of common networks."""


def trial_bytes(
    configuration: Configuration, feature_width: int, rows: int, frontier_values: int, backbone_parameters: int
) -> int:
    """Bytes of one trial: context, features or frontier batch, weights with gradients and buffers, activations.

    rows: views whose pooled features lie on the device. frontier_values: values per view that are read otherwise.
    """
    layers = layers_of(configuration, feature_width)
    head = parameter_count(layers)
    copies = 2 + rule_of(configuration.optimiser.name).buffers_per_parameter
    widths = sum(outputs for _, outputs in linear(layers)) + feature_width
    if configuration.live.has_features:
        scored = max(configuration.optimiser.batch_size, math.ceil(rows / 2))
        values = rows * feature_width + BUNDLE_SIZE * (head * copies + scored * widths * 2)
        return CONTEXT_BYTES + 4 * values
    batch = max(configuration.optimiser.batch_size, 256)
    values = (backbone_parameters + head) * copies + batch * frontier_values * ACTIVATIONS_PER_FRONTIER_VALUE
    return CONTEXT_BYTES + 4 * values


def bytes_for(bench: Workbench, configuration: Configuration, partition: str) -> int:
    """`trial_bytes` of a configuration; the frontier is taken as large as the images, which bounds most cuts."""
    facts, rows = bench.facts(configuration), bench.samples(configuration, partition).rows
    return trial_bytes(configuration, facts.feature_width, rows, 3 * configuration.image.size**2, facts.parameters)


def share_for(bench: Workbench, work: Sequence[Work]) -> float:
    """The part of this machine's GPU that a trial of these works asks for: the largest decides."""
    needs = [bytes_for(bench, bench.configuration(item.key.configuration), item.key.partition) for item in work]
    return gpu_share(max(needs, default=0), gpu_bytes_here())


def gpu_share(bytes_per_trial: int, gpu_bytes: int) -> float:
    """The part of a GPU that a trial asks Ray for: as many trials as fit side by side, at most eight."""
    fitting = int(gpu_bytes // max(1, bytes_per_trial))
    return 1.0 / max(1, min(MOST_TRIALS_PER_GPU, fitting))


def gpu_bytes_here() -> int:
    """Memory of this machine's first GPU; 16 GB where the driver runs on a machine without one."""
    if torch.cuda.is_available():
        return int(torch.cuda.get_device_properties(0).total_memory)
    return 16_000_000_000
