"""How much memory a trial needs on its device, an upper estimate from shapes alone, and what share of a GPU that is.

Where steps compute a network, activations are most of it. How many there are is counted for its graph, image size and
depth (`trainables/network/activations.py`) and grows with the batch of a step, or with the one that is scored.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch

from orchestrator.store.schema import BUNDLE_SIZE
from orchestrator.store.segments import Segment
from search_spaces.configuration import Configuration
from search_spaces.resolve import BackboneFacts
from trainables.bundles.recipe import scoring_batch
from trainables.bundles.workbench import Workbench
from trainables.features.samples import Samples
from trainables.learning.heads.head import layers_of
from trainables.learning.heads.layer import linear, parameter_count
from trainables.learning.optimisers.optimiser import rule_of
from trainables.network.activations import Activations
from trainables.network.division import PIXELS

MOST_TRIALS_PER_GPU = 8
CONTEXT_BYTES = 800_000_000
"""What a process takes of a GPU before it holds any tensor."""
FLOAT32 = 4
BODY_COPIES = 2
"""Of the part of a network that steps compute, beside the network that it is of: as it was cut off, as it is
trained."""
ROUNDED = 0.5
"""Of weights, their copies in bfloat16, which a step keeps until its backward pass. What passes is counted as in
float32, which some operations give: with ResNet-18 and ViT-Ti at 224 pixels, all trained in batches of 16, the estimate
was 1.6 to 1.7 times what was measured on a processor."""
INPUT_COPIES = 5
"""Of what a step reads: as it was fetched, three while an augmentation changes it, one laid out anew."""
WORKSPACE = 1.25
"""On a GPU: what operations need inside, which shapes do not show, and what its allocator leaves unused."""
UNUSED_PASSES, UNUSED_MOST = 2, 350_000_000
"""On a processor: how often what passes through the network lies unused in blocks that were given back and do not fit
what comes next, and bytes of it at most, for large blocks go back at once. `benchmarks/trial_memory.py` shows what
these come to."""
UNUSED_SHARE = 0.35
"""The same where most weights are frozen, at least: of a step, in the gaps between the few values that are kept."""


def trial_bytes(bench: Workbench, configuration: Configuration, partition: str, lanes: int = BUNDLE_SIZE) -> int:
    """Bytes of one trial on the bench's device: its context, and all that it holds.

    lanes: how many are trained at a time, where they can be stacked.
    """
    c, samples = configuration, bench.samples(configuration, partition)
    width = bench.facts(c).feature_width
    if c.live.has_features:
        return CONTEXT_BYTES + head_bytes(c, width, samples.rows, lanes)
    frozen = bench.foreseen(c, partition)
    scored = scoring_batch(c, sum(map(math.prod, frozen.shapes)), bench.device)
    computed = StepAndScore.by(bench, c, frozen.layer)
    return CONTEXT_BYTES + network_bytes(c, bench.facts(c), computed, scored, samples, bench.device)


class StepAndScore(NamedTuple):
    """What the network takes in a step, and where scores are computed; where images change the step has all of it."""

    step: Activations
    score: Activations | None
    """None where pooled features are scored."""

    @classmethod
    def by(cls, bench: Workbench, c: Configuration, layer: str) -> StepAndScore:
        """Of trials whose frozen part is kept up to `layer`."""
        score = bench.activations(c, layer) if c.live.trains_body else None
        return cls(bench.activations(c, PIXELS) if c.live.from_pixels or score is None else score, score)


def head_bytes(c: Configuration, feature_width: int, rows: int, lanes: int = BUNDLE_SIZE) -> int:
    """Of the heads of so many lanes on `rows` pooled features, which lie on the device: these, weights with gradients
    (twice where they are clipped), buffers and averages, what a layer gives; one before the first linear layer gives
    values and, as a gate, shares."""
    layers = layers_of(c, feature_width)
    head = parameter_count(layers)
    copies = 2 + rule_of(c.optimiser.name).buffers_per_parameter + bool(c.optimiser.clip) + bool(c.optimiser.average)
    first = next(place for place, layer in enumerate(layers) if layer.kind == "Linear")
    widths = sum(outputs for _, outputs in linear(layers)) + feature_width * (1 + 2 * first)
    scored = max(c.optimiser.batch_size, math.ceil(rows / 2))
    return FLOAT32 * (rows * feature_width + lanes * (head * copies + scored * widths * 2))


def network_bytes(
    c: Configuration,
    facts: BackboneFacts,
    computed: StepAndScore,
    scoring_rows: int,
    samples: Samples,
    device: torch.device,
) -> int:
    """Of a network that steps compute: weights, gradients (twice where they are clipped), buffers and averages, and the
    larger of a step and a scoring batch of at most `scoring_rows`.

    On a GPU a step is recorded, and what it holds then stays its own: beside it are scored batches and the last step of
    an epoch, which is smaller and is not recorded at first.
    """
    head = parameter_count(layers_of(c, facts.feature_width))
    buffers = rule_of(c.optimiser.name).buffers_per_parameter + bool(c.optimiser.clip) + bool(c.optimiser.average)
    behind = computed.step
    weights = facts.parameters + BODY_COPIES * behind.parameters + head
    weights += (behind.trained + head) * (1 + buffers)
    if c.adaptation.arithmetic == "bf16":
        weights += math.ceil(ROUNDED * behind.parameters)
    rows, batch = len(samples.training), min(c.optimiser.batch_size, len(samples.training))
    step = _step_bytes(behind, batch)
    scored = min(scoring_rows, max(map(len, samples.scoring.values())))
    score = scored * (INPUT_COPIES * computed.score.read + computed.score.passing) if computed.score else 0
    if device.type == "cuda":
        held = math.ceil(WORKSPACE * (step + max(score, _step_bytes(behind, rows % batch))))
    else:
        unused = min(UNUSED_MOST, UNUSED_PASSES * batch * behind.passing)
        if 2 * behind.trained < behind.parameters:
            unused = max(unused, math.ceil(UNUSED_SHARE * batch * behind.step))
        held = max(step, score) + unused
    features = 0 if computed.score else samples.rows * facts.feature_width
    return FLOAT32 * (weights + features) + behind.fixed + held


def _step_bytes(behind: Activations, batch: int) -> int:
    """Of a training step: what is read, and the most that both passes hold, or the one where nothing is trained."""
    return batch * (INPUT_COPIES * behind.read + max(behind.step, behind.passing))


def share_for(bench: Workbench, segments: Sequence[Segment]) -> float:
    """The part of this machine's GPU that a trial of one of these segments asks for: the largest decides."""
    needs = [
        trial_bytes(bench, bench.configuration(one.configurations[0]), one.partition, len(one.lanes))
        for one in segments
    ]
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
