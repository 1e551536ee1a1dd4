"""How fast this machine decodes, computes frozen parts and trains, from a few steps of the product's own classes.

On a CPU everything is timed in processor time with one thread, as workers compute, so that other programs on the
machine do not disturb; on a GPU in wall time. Nothing is written.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn

from search_spaces.configuration import Configuration
from trainables.data.decode import MAX_PIXELS, content_hash, read_rgb, to_square
from trainables.data.manifest import reading_of
from trainables.data.reading import RefusedImageError
from trainables.features.samples import Samples
from trainables.features.store import CPU_BATCH, CUDA_BATCH
from trainables.learning.bodies.body import Body
from trainables.learning.bodies.cached import Cached
from trainables.learning.bodies.network import Network
from trainables.learning.group import Group
from trainables.learning.learner import Images, Lane, Learner, Resident, lanes_of

DECODED_IMAGES = 6
HEAD_ROWS = 4096
"""Most rows of random features that a head is timed on."""
FITTED_ROWS = 256
"""The same of a head that is fitted; its time is taken to grow with them."""
DEEP_ROWS = 16
"""Most frontier rows that a partly unfrozen network is timed on; time per row hardly changes beyond."""
ENOUGH_S = 0.3
"""A rate is known well enough after steps of this length together."""
ENOUGH_STEPS = 40


@dataclass(frozen=True)
class GroupRate:
    """What the lanes of one group cost together. score_s is per scored row."""

    step_s: float
    score_s: float
    checkpoint_s: float
    checkpoint_bytes: int


class Stopwatch:
    """Seconds since it was made: of the processor, or of the clock where a GPU works."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._started = self._now()

    @property
    def seconds(self) -> float:
        return self._now() - self._started

    def _now(self) -> float:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
            return time.perf_counter()
        return time.process_time()


def decode_seconds(images: pd.DataFrame, configuration: Configuration, data_root: Path) -> float | None:
    """Mean time to read one image and make its square, from a few spread over the dataset; None where none is here."""
    places = np.unique(np.linspace(0, len(images) - 1, DECODED_IMAGES).astype(int))
    image, reading = configuration.image, reading_of(images)
    watch, read = Stopwatch(torch.device("cpu")), 0
    for file in images["file"].iloc[places]:
        try:
            pixels = read_rgb(data_root / file, MAX_PIXELS, reading)
        except (RefusedImageError, OSError):
            continue
        content_hash(pixels)
        to_square(pixels, image.store_size, image.interpolation, image.fit, image.borders)
        read += 1
    return watch.seconds / read if read else None


@torch.no_grad()
def prefix_seconds(prefix: nn.Module, image_size: int, precision: str, device: torch.device) -> float:
    """Time of the frozen part per view, from one batch of the size that features are computed in, or a part of it."""
    size = CUDA_BATCH if device.type == "cuda" else CPU_BATCH
    images = torch.randn(size, 3, image_size, image_size, device=device).contiguous(memory_format=torch.channels_last)
    with torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16"):
        watch = Stopwatch(device)
        prefix(images[: size // 4])
        first = watch.seconds
        if first > 4 * ENOUGH_S and device.type != "cuda":
            return first / (size // 4)
        if device.type == "cuda":
            prefix(images)
        watch = Stopwatch(device)
        prefix(images)
        return watch.seconds / size


def head_rate(
    configuration: Configuration,
    width: int,
    stack: tuple[int, int],
    rows: tuple[int, dict[str, int]],
    scoring_batch: int,
    device: torch.device,
) -> GroupRate:
    """Rate of a stack of (configurations, repeats) on random features; rows: those trained on, and those scored."""
    is_fitted = configuration.head.is_fitted
    training = min(rows[0], FITTED_ROWS if is_fitted else HEAD_ROWS)
    scored = {name: min(count, HEAD_ROWS) for name, count in rows[1].items()}
    samples = _samples(training, scored, len(configuration.data.classes), configuration.balance.name)
    features = torch.randn(samples.rows, width, device=device)
    labels = torch.from_numpy(samples.labels).to(device)
    weights = None if samples.weights is None else torch.from_numpy(samples.weights).to(device)
    lanes = _lanes(configuration, *stack)
    learner = Learner(lanes, Resident(features), Cached(), width, labels, weights, None)
    rate = _timed(learner, lanes, samples, scoring_batch, device)
    return replace(rate, step_s=rate.step_s * rows[0] / training) if is_fitted else rate


def head_seconds(
    configuration: Configuration,
    width: int,
    rows: tuple[int, dict[str, int]],
    epochs: int,
    scoring_batch: int,
    device: torch.device,
) -> float:
    """What one repeat of a head alone takes; width: of the features. rows: see `head_rate`."""
    rate = head_rate(configuration, width, (1, 1), rows, scoring_batch, device)
    steps = -(-rows[0] // configuration.batch_size(rows[0]))
    return epochs * (steps * rate.step_s + sum(rows[1].values()) * rate.score_s)


@dataclass(frozen=True)
class Parts:
    """What a step computes. frontier: tensors as stored, each [n, …]. suffix: from them on, None where nothing of it
    trains. width: of the features. images: [n, 3, S, S], trained on through `prefix`, where they change in each step.
    """

    frontier: tuple[torch.Tensor, ...]
    suffix: nn.Module | None
    width: int
    images: tuple[torch.Tensor, ...] | None
    prefix: nn.Module


def deep_rate(configuration: Configuration, parts: Parts, scoring_batch: int, device: torch.device) -> GroupRate:
    """Rate of a network that steps compute; step_s is per trained row."""
    batch = min(configuration.optimiser.batch_size, DEEP_ROWS)
    scored = min(scoring_batch, DEEP_ROWS)
    samples = _samples(
        batch * ENOUGH_STEPS,
        {"train": scored, "valid": scored},
        len(configuration.data.classes),
        configuration.balance.name,
    )
    labels = torch.from_numpy(samples.labels).to(device)
    weights = None if samples.weights is None else torch.from_numpy(samples.weights).to(device)
    lanes = _lanes(configuration.with_values({"optimiser.batch_size": batch}), 1, 1)
    body: Body = Cached()
    if parts.suffix is not None:
        asked = configuration.adaptation
        body = Network(parts.suffix, device, norms_move=asked.norms_move, arithmetic=asked.arithmetic)
    images = None
    if parts.images is not None:
        images = Images(_Frontier(parts.images, device), parts.prefix, configuration.network.precision)
    learner = Learner(lanes, _Frontier(parts.frontier, device), body, parts.width, labels, weights, None, images)
    learner.score(torch.arange(min(2, scored), device=device))
    rate = _timed(learner, lanes, samples, scored, device)
    return GroupRate(rate.step_s / batch, rate.score_s, rate.checkpoint_s, rate.checkpoint_bytes)


def _timed(
    learner: Learner, lanes: list[Lane], samples: Samples, scoring_batch: int, device: torch.device
) -> GroupRate:
    group = Group(lanes, learner, samples, 2, scoring_batch, device)
    scored = sum(len(rows) for rows in samples.scoring.values())
    score = _one(group, device)
    steps = [_one(group, device)]
    while group.epoch == 0 and sum(steps) < ENOUGH_S and len(steps) < ENOUGH_STEPS:
        steps.append(_one(group, device))
    watch = Stopwatch(torch.device("cpu"))
    content = group.snapshot({}).to_bytes()
    written = watch.seconds
    later = steps[1:-1] or steps[1:] or steps
    return GroupRate(statistics.median(later), score / scored, written, len(content))


def _one(group: Group, device: torch.device) -> float:
    """Time of one unit of a group's work: the scoring of an epoch, or a step."""
    watch = Stopwatch(device)
    group.advance(0.0)
    return watch.seconds


def _lanes(configuration: Configuration, configurations: int, repeats: int) -> list[Lane]:
    """Lanes that learn so slowly that random inputs cannot make them diverge; the rate costs no time."""
    slow = [configuration.with_values({"optimiser.lr": 1e-8 * (i + 1)}) for i in range(configurations)]
    return lanes_of(slow, range(repeats))


def _samples(training: int, scored: dict[str, int], classes: int, balance: str) -> Samples:
    """Rows without images, with classes in turn."""
    rows = max(training, *scored.values())
    labels = np.arange(rows, dtype=np.int64) % classes
    scoring = {name: np.arange(count) for name, count in scored.items()}
    weights = np.ones(classes, dtype=np.float32) if balance == "class_weights" else None
    return Samples(pd.DataFrame(), np.zeros((rows, 2), np.int32), labels, np.arange(training), scoring, weights)


class _Frontier:
    """Frontier tensors of a few rows that stand for all, in their stored form, on the device."""

    is_on_device = True

    def __init__(self, tensors: Sequence[torch.Tensor], device: torch.device) -> None:
        self.tensors = [tensor.to(device) for tensor in tensors]

    def gather(self, rows: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(tensor.index_select(0, rows % len(tensor)).to(torch.float32) for tensor in self.tensors)

    def plain(self, rows: np.ndarray) -> torch.Tensor:
        """Where the frontier is images: noise from black to white."""
        (images,) = self.gather(torch.from_numpy(rows).to(self.tensors[0].device))
        return images.clamp(0.0, 1.0)

    def standardised(self, plain: torch.Tensor) -> torch.Tensor:
        return plain.contiguous(memory_format=torch.channels_last)


def between(at: float, known: Mapping[int, float]) -> float:
    """Value at `at` on the straight lines between known points, constant beyond them."""
    places = sorted(known)
    return float(np.interp(at, places, [known[place] for place in places]))
