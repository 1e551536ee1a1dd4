"""Trains one stack of the reference study with the learning code alone and says how long each part of it took."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from reference_grids import Grid, Precision, made_features, made_samples
from torch import nn

from search_spaces.form import Form
from search_spaces.live import Scope
from trainables.bundles.recipe import scoring_batch
from trainables.features.samples import Samples
from trainables.features.store import StoredInputs
from trainables.learning.bodies.body import Body
from trainables.learning.bodies.cached import Cached
from trainables.learning.bodies.network import Network
from trainables.learning.group import Group
from trainables.learning.learner import Inputs, Lane, Learner, Resident
from trainables.network.backbone import open_backbone
from trainables.network.division import Cut
from trainables.network.frontier import places_to_cut

LEAST_SCORED = 8
PARTIAL_ROWS = 256
"""Rows that frontier features are made for where only a part of an epoch is trained."""


@dataclass(frozen=True)
class Stack:
    """What one process trains at a time. steps: of each epoch, None for all; `stands_for`: how many such stacks the
    grid has."""

    lanes: tuple[Lane, ...]
    width: int
    epochs: int
    steps: int | None
    stands_for: float
    cache: Path
    device: str
    precision: Precision


@dataclass(frozen=True)
class Timing:
    """Seconds of one stack: preparing it, scoring it once, and training one epoch (its scoring not counted)."""

    stack: Stack
    setup: float
    score: float
    epoch: float
    losses: np.ndarray
    """float64 [lanes, epochs + 1, splits]"""

    def whole(self, epochs: int) -> float:
        """Seconds of all stacks that this one stands for, each trained for so many epochs."""
        return self.stack.stands_for * (self.setup + (epochs + 1) * self.score + epochs * self.epoch)


@dataclass(frozen=True)
class Part:
    """How much of each stack is really trained."""

    share_of_stacks: float
    epochs: int
    steps: int | None


def apportioned(part: float, stacks: int, epochs: int, steps: int) -> Part:
    """Take this part of a grid's training: fewer stacks first, then fewer epochs, then fewer steps of an epoch."""
    kept = max(1, math.ceil(part * stacks))
    left = min(1.0, part * stacks / kept)
    kept_epochs = max(1, math.ceil(left * epochs))
    left = min(1.0, left * epochs / kept_epochs)
    return Part(kept / stacks, kept_epochs, None if left > 0.999 else max(2, math.ceil(left * steps)))


def train(stack: Stack) -> Timing:
    """Train it in this process; raises RuntimeError when lanes stop before their last epoch."""
    device = torch.device(stack.device)
    _as_the_product_does(device)
    first, everything = stack.lanes[0].configuration, _samples()
    samples = everything if stack.steps is None else _limited(everything, stack.steps, first.optimiser.batch_size)
    material = opened(stack)
    begun = _now(device)
    # On a GPU steps are recorded in the first two epochs; where an epoch stands for many, that is no part of it
    ahead = 2 if device.type == "cuda" and stack.steps is not None else 0
    epochs, scored_at_once = stack.epochs + ahead, scoring_batch(first, material.values, device)
    group = Group(list(stack.lanes), _learner(stack, material), samples, epochs, scored_at_once, device)
    group.advance(0.0)
    seconds = [_epoch(group, device) for _ in range(epochs)]
    trained, scored = (statistics.fmean(each) for each in zip(*seconds[ahead:], strict=True))
    setup = max(0.0, _now(device) - begun - stack.epochs * trained - (stack.epochs + 1) * scored)
    histories = [group.history(lane) for lane in range(len(stack.lanes))]
    if any(history.epochs < stack.epochs for history in histories):
        raise RuntimeError(f"{first.network.backbone}: lanes diverged; the time says nothing")
    steps = steps_per_epoch(first.optimiser.batch_size) / -(-len(samples.training) // first.optimiser.batch_size)
    score = scored * _scored(everything) / _scored(samples)
    losses = np.stack([history.loss for history in histories])
    return Timing(stack, setup, score, trained * steps, losses)


def compare_alone(grid: Grid, lanes: Sequence[Lane], cache: Path, device: str, steps: int | None) -> float:
    """Largest difference of any loss over three epochs, between these lanes trained together and each alone."""
    precision = lanes[0].configuration.network.precision
    together = Stack(tuple(lanes), grid.width, 3, steps, 1, cache, device, precision)
    joint = train(together).losses
    alone = np.concatenate([train(replace(together, lanes=(lane,))).losses for lane in lanes])
    return float(np.abs(joint - alone).max())


def latest_cut(network: nn.Module, image_size: int, unfrozen: int) -> Cut:
    """The one that the product takes where its features fit in memory."""
    return next(
        cut for cut in reversed(places_to_cut(network, image_size, Scope(unfrozen=unfrozen))) if not cut.is_pixels
    )


def steps_per_epoch(batch_size: int) -> int:
    return -(-len(_samples().training) // batch_size)


def opened(stack: Stack) -> Material:
    """What the stack reads; made-up features are written where they are not there yet."""
    first, device = stack.lanes[0].configuration, torch.device(stack.device)
    rows = _samples().rows if stack.steps is None or not first.adaptation.unfrozen else PARTIAL_ROWS
    network = first.network.backbone, first.image.size, first.adaptation.unfrozen
    return _material(*network, stack.width, rows, stack.cache, device, stack.precision)


@dataclass(frozen=True)
class Repeated:
    """Frontier tensors of a few rows, read again and again: what a step costs does not depend on how many there are."""

    stored: StoredInputs
    rows: int

    @property
    def is_on_device(self) -> bool:
        return self.stored.is_on_device

    def gather(self, rows: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return self.stored.gather(rows % self.rows)


@dataclass(frozen=True)
class Material:
    """What learners read, opened once per process."""

    labels: torch.Tensor
    layer: str
    values: int
    inputs: Inputs
    suffix: nn.Module | None


@lru_cache(maxsize=1)
def _material(
    backbone: str,
    image_size: int,
    unfrozen: int,
    width: int,
    rows: int,
    cache: Path,
    device: torch.device,
    precision: Precision,
) -> Material:
    labels = torch.from_numpy(_samples().labels).to(device)
    layer, suffix = "features", None
    shapes: tuple[tuple[int, ...], ...] = ((width,),)
    if unfrozen:
        network = _network(backbone, image_size)
        cut = latest_cut(network, image_size, unfrozen)
        layer, shapes, suffix = cut.layer, cut.shapes, cut.build().suffix.to(device)
    store = made_features(cache, _samples().labels[:: _samples().rows // rows][:rows], shapes, precision, device.type)
    inputs = StoredInputs(store, precision, device)
    values = sum(math.prod(shape) for shape in shapes)
    return Material(
        labels, layer, values, Repeated(inputs, rows) if unfrozen else Resident(inputs.everything()), suffix
    )


@lru_cache(maxsize=1)
def _network(backbone: str, image_size: int) -> nn.Module:
    network = open_backbone(Form(backbone, image_size), "none", 0).module
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def _learner(stack: Stack, material: Material) -> Learner:
    body: Body = Cached() if material.suffix is None else Network(material.suffix, material.labels.device)
    return Learner(list(stack.lanes), material.inputs, body, stack.width, material.labels, None, None)


@lru_cache(maxsize=1)
def _samples() -> Samples:
    return made_samples()


def _limited(samples: Samples, steps: int, batch_size: int) -> Samples:
    """So many whole batches to train on, and the same share of the rows to score."""
    rows = min(len(samples.training), steps * batch_size)
    draw = np.random.default_rng(1)
    share = rows / len(samples.training)
    scoring = {
        name: draw.permutation(kept)[: max(LEAST_SCORED, round(share * len(kept)))]
        for name, kept in samples.scoring.items()
    }
    return replace(samples, training=draw.permutation(samples.training)[:rows], scoring=scoring)


def _epoch(group: Group, device: torch.device) -> tuple[float, float]:
    """Seconds of the steps of one epoch, and of its scoring."""
    before, begun = group.epoch, _now(device)
    while group.epoch == before:
        group.advance(0.0)
    trained = _now(device)
    group.advance(0.0)
    return trained - begun, _now(device) - trained


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.monotonic()


def _scored(samples: Samples) -> int:
    return sum(len(rows) for rows in samples.scoring.values())


def _as_the_product_does(device: torch.device) -> None:
    torch.set_num_threads(1)
    if device.type == "cuda":
        torch.backends.cudnn.benchmark = False
        torch.backends.cudnn.deterministic = True
        torch.backends.cudnn.allow_tf32 = False
        torch.backends.cuda.matmul.allow_tf32 = False
