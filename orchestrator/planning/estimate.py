"""What a search would take: work left, time, memory, disk. Rates come from a few steps measured here and now.

The wall time is that of this machine with nothing else running on it: start, then all work divided by the workers.
Ray's start cannot be measured without starting it and is a constant.
"""

from __future__ import annotations

import dataclasses
import heapq
import math
import shutil
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psutil
import torch

from orchestrator.planning.costs import BackboneCosts, FrozenCost, Rates
from orchestrator.results.names import IN_EVERY_NAME, told_apart
from orchestrator.search import Search
from orchestrator.store.errors import DamagedRecordError
from orchestrator.store.record import canonical_json
from orchestrator.study.owed import bundles
from search_spaces.configuration import FROZEN_PART, Configuration, shown_settings
from search_spaces.settings.declaration import Touch
from trainables.bundles.attempts import checkpoints
from trainables.bundles.checkpoints import KEPT_CHECKPOINT_BYTES, WRITING_SHARE
from trainables.bundles.memory import share_for
from trainables.bundles.recipe import decide
from trainables.bundles.stacks import Stack, form_stacks
from trainables.bundles.work import Work, owed_repeats
from trainables.learning.endings.ending import ending_of
from trainables.learning.tasks.task import task_of
from trainables.machine import allocation

_MAY_STOP = "repeats may stop early: their epochs, and the time for training, are at most so many"
TASKS_START_S = 6.0
"""Ray, and the first workers with torch and timm in them; measured on 2 cores with nothing else running."""
TRIALS_START_S = 4.0
"""Tune and its first actors with torch and timm in them."""
CLOSE_S = 3.0
"""Summary and dashboard at the end, and Ray's end."""
TRIAL_S = 0.15
"""Handing the next trial to a worker that has just finished one."""
BUNDLE_S = 0.05
"""Lease, recipe and final records of a bundle."""
ONE_LANE_SHARE = 0.25
"""Of the time of a full stack, what its first lane takes by itself."""
RECORD_BYTES = 3000
"""A final record without its arrays."""


@dataclass(frozen=True)
class Depth:
    """One backbone at one depth; seconds are those of one worker."""

    backbone: str
    strategy: str
    non_linearities: int
    unfrozen: int
    configurations: int
    repeats_asked: int
    repeats_owed: int
    epochs_owed: int
    beside: str = ""
    """What else tells it from the backbone's other depths: "dropout 0.2"."""
    cached_up_to: str = ""
    why: str = ""
    values_per_view: int = 0
    views: int = 0
    feature_bytes: int = 0
    views_to_compute: int = 0
    memory_per_trial_bytes: int = 0
    study_bytes: int = 0
    training_seconds: float = 0.0
    seconds_per_epoch: float = 0.0
    """Of one repeat, its share of a stack."""


@dataclass(frozen=True)
class Estimate:
    """See `estimate_text`. `gpu_hours` is None where there is no GPU. Sizes are bytes that are still to be written."""

    study: str
    configurations: int
    repeats_asked: int
    repeats_done: int
    repeats_owed: int
    epochs_owed: int
    bundles_owed: int
    cpus: int
    gpus: int
    concurrent_trials: int
    depths: tuple[Depth, ...]
    images_to_decode: int = 0
    cache_bytes: int = 0
    study_bytes: int = 0
    memory_bytes: int = 0
    """Of all concurrent trials together, with their processes."""
    start_seconds: float = 0.0
    images_seconds: float = 0.0
    features_seconds: float = 0.0
    training_seconds: float = 0.0
    wall_seconds: float = 0.0
    gpu_hours: float | None = None
    notes: tuple[str, ...] = ()
    shapes_measured: int = 0
    measuring_seconds: float = 0.0

    @property
    def is_done(self) -> bool:
        return not self.repeats_owed

    def as_json(self) -> dict[str, Any]:
        return {**dataclasses.asdict(self), "done": self.is_done}


def estimate(search: Search, reading_s: float = 0.0) -> Estimate:
    """Describe and time what is owed of a search; nothing is written and neither pixels nor features need to exist.

    reading_s: what it took to start and to read and check the images just now, which a search does again. Per backbone
    at most six shapes of heads and three of unfrozen networks are timed, each for about half a second.
    """
    started = time.monotonic()
    cpus, gpus = allocation.cpus(), torch.cuda.device_count()
    threads = torch.get_num_threads()
    bench = search.bench()
    slots = round(gpus / share_for(bench, search.work)) if gpus else cpus
    stacks = form_stacks(bench, bundles(search.epochs), search.work, slots)
    try:
        tally = _Tally(search, stacks, bench.device)
        for mine in _by_backbone(search):
            tally.add(mine)
    finally:
        torch.set_num_threads(threads)
    asked = sum(len(epochs) for epochs in search.epochs.values())
    owed = sum(len(owed_repeats(search.study.storage, work)) for work in search.work)
    concurrent = min(len(stacks), slots)
    images_s, features_s = tally.images_s / cpus, sum(tally.passes.values()) / max(1, gpus or cpus)
    training_s = _makespan(tally.trials, max(1, concurrent))
    start_s = (TASKS_START_S + TRIALS_START_S + CLOSE_S) * bool(search.work) + reading_s
    process = psutil.Process().memory_info().rss
    needed = concurrent * (process + max((depth.memory_per_trial_bytes for depth in tally.depths), default=0))
    return Estimate(
        study=search.study.name,
        configurations=len({name for _, name in search.epochs}),
        repeats_asked=asked,
        repeats_done=asked - owed,
        repeats_owed=owed,
        epochs_owed=sum(depth.epochs_owed for depth in tally.depths),
        bundles_owed=len(search.work),
        cpus=cpus,
        gpus=gpus,
        concurrent_trials=concurrent,
        depths=tuple(tally.depths),
        images_to_decode=sum(tally.images.values()),
        cache_bytes=sum(tally.cache.values()),
        study_bytes=sum(depth.study_bytes for depth in tally.depths),
        memory_bytes=needed,
        start_seconds=start_s,
        images_seconds=images_s,
        features_seconds=features_s,
        training_seconds=training_s,
        wall_seconds=start_s + images_s + features_s + training_s,
        gpu_hours=gpus * (features_s + training_s) / 3600 if gpus else None,
        notes=(*tally.notes, *_memory_notes(needed), *_disk_notes(search, tally)),
        shapes_measured=tally.shapes,
        measuring_seconds=time.monotonic() - started,
    )


class _Tally:
    """Sums over the backbones of a search."""

    def __init__(self, search: Search, stacks: Sequence[Stack], device: torch.device) -> None:
        self.search = search
        self.stacks = stacks
        self.device = device
        self.depths: list[Depth] = []
        self.images: dict[str, int] = {}
        self.cache: dict[str, int] = {}
        self.notes: list[str] = []
        self.passes: dict[tuple[str, str], float] = {}
        self.images_s = 0.0
        self.trials: dict[Stack, float] = {}
        self.shapes = 0

    def add(self, mine: list[Configuration]) -> None:
        """One backbone: its depths in the order asked."""
        by_depth: dict[str, list[Configuration]] = defaultdict(list)
        for c in mine:
            same = {path: value for path, value in c.stack_key().items() if path != "optimiser.batch_size"}
            by_depth[canonical_json(same)].append(c)
        owed = {one.key.configuration for one in self.search.work}
        owing = [c for c in mine if c.id in owed]
        costs = BackboneCosts(self.search, owing, self.stacks, self.device) if owing else None
        rates = costs.rates() if costs else None
        self.shapes += rates.shapes if rates else 0
        stackable = {one.path for one in shown_settings() if one.setting.stackable}
        beside = told_apart((here[0] for here in by_depth.values()), IN_EVERY_NAME | stackable)
        for here in by_depth.values():
            depth = dataclasses.replace(self._counted(here), beside=beside[here[0].id])
            if costs and rates and any(c.id in owed for c in here):
                depth = self._costed(depth, {c.id: c for c in here}, costs, rates)
            self.depths.append(depth)

    def _counted(self, here: list[Configuration]) -> Depth:
        first, ids = here[0], {c.id for c in here}
        asked = [len(epochs) for (_, name), epochs in self.search.epochs.items() if name in ids]
        work = [one for one in self.search.work if one.key.configuration in ids]
        left = [(one, owed_repeats(self.search.study.storage, one)) for one in work]
        if any(not ending_of(c.ending).is_complete for c in here) and _MAY_STOP not in self.notes:
            self.notes.append(_MAY_STOP)
        return Depth(
            backbone=first.network.backbone,
            strategy=first.strategy,
            non_linearities=first.head.non_linearities,
            unfrozen=first.live.unfrozen,
            configurations=len(here),
            repeats_asked=sum(asked),
            repeats_owed=sum(len(repeats) for _, repeats in left),
            epochs_owed=sum(self._epochs_left(one, repeats) for one, repeats in left),
        )

    def _costed(self, depth: Depth, here: dict[str, Configuration], costs: BackboneCosts, rates: Rates) -> Depth:
        mine = [stack for stack in self.stacks if stack[0].key.configuration in here]
        first = here[mine[0][0].key.configuration]
        frozen = costs.frozen(first)
        if frozen.note:
            self.notes.append(frozen.note)
        self._prepare(first, frozen, costs, rates)
        samples = costs.samples(first)
        training, scored = len(samples.training), sum(len(rows) for rows in samples.scoring.values())
        stacked = decide(first, costs.facts.feature_width, frozen.layer, frozen.values, self.device).stacked
        seconds, size, lanes, timed = 0.0, 0, 1, rates.lanes_of(first)
        for stack in mine:
            c, repeats = here[stack[0].key.configuration], owed_repeats(self.search.study.storage, stack[0])
            if not repeats:  # another search has finished them meanwhile
                continue
            train_s, score_s = rates.epoch_s(c, training, scored)
            write_s, checkpoint = rates.checkpoint(c)
            left = self._epochs_left(stack[0], repeats) / len(repeats)
            together = len(stack) * len(repeats) if stacked else 1
            of_stack = ONE_LANE_SHARE + (1 - ONE_LANE_SHARE) * together / timed
            spent = of_stack * (left * train_s + (left + 1) * score_s)
            spent = (spent * (1 + WRITING_SHARE) + write_s) * (1 if stacked else len(repeats))
            self.trials[stack] = spent + BUNDLE_S * len(stack)
            seconds += spent
            lanes = max(lanes, together)
            size += len(stack) * len(repeats) * record_bytes(c, stack[0].epochs, samples.scoring)
            kept = int(checkpoint * together / timed)
            if kept <= KEPT_CHECKPOINT_BYTES * len(stack):
                size += kept * (1 if stacked else len(repeats))
        return dataclasses.replace(
            depth,
            cached_up_to=frozen.layer,
            why=frozen.why,
            values_per_view=frozen.values,
            views=frozen.rows,
            feature_bytes=frozen.size_bytes,
            views_to_compute=frozen.missing,
            memory_per_trial_bytes=costs.memory_bytes(first, frozen, lanes),
            study_bytes=size,
            training_seconds=seconds,
            seconds_per_epoch=seconds / max(1, depth.epochs_owed),
        )

    def _prepare(self, c: Configuration, frozen: FrozenCost, costs: BackboneCosts, rates: Rates) -> None:
        """Count squares and features once, however many depths share them."""
        squares, missing, seconds = costs.images(c)
        if squares not in self.images:
            self.images[squares] = missing
            self.cache[squares] = missing * 3 * c.image.store_size**2
            if seconds is None:
                self.notes.append("the images are not here: the time to decode them is not included")
            self.images_s += missing * (seconds or 0.0)
        if frozen.key in self.cache or not frozen.is_cached:
            return
        self.cache[frozen.key] = frozen.size_bytes * frozen.missing // max(1, frozen.rows)
        if frozen.missing:
            # one pass over the images serves all depths, so that the longest counts
            workers = torch.cuda.device_count() or allocation.cpus()
            one = squares, canonical_json(c.key(*FROZEN_PART))
            spent = frozen.missing * rates.prefix_s(c.live.unfrozen) + workers * costs.opening_s
            self.passes[one] = max(self.passes.get(one, 0.0), spent)

    def _epochs_left(self, work: Work, repeats: list[int]) -> int:
        """Epochs of these repeats that no checkpoint holds."""
        reached: dict[int, int] = {}
        try:
            for found in checkpoints(self.search.study.storage, work.key):
                for repeat in found.repeats:
                    reached[repeat] = max(reached.get(repeat, 0), found.epoch)
        except DamagedRecordError:
            reached = {}
        is_fitted = self.search.asked.configurations[work.key.configuration].head.is_fitted
        most = 1 if is_fitted else work.epochs
        return sum(max(0, most - reached.get(repeat, 0)) for repeat in repeats)


def record_bytes(c: Configuration, epochs: int, scoring: dict[str, Any]) -> int:
    """Of one final record: history and predictions."""
    row = len(scoring) * (8 + 4 * math.prod(task_of(c.data).shape))
    return RECORD_BYTES + (epochs + 1) * row + 2 * c.outputs * len(scoring["valid"])


def _makespan(trials: Mapping[Stack, float], workers: int) -> float:
    """Seconds until the last trial ends when each free worker takes the next one."""
    free = [0.0] * workers
    for seconds in trials.values():
        heapq.heapreplace(free, free[0] + TRIAL_S + seconds)
    return max(free)


def _by_backbone(search: Search) -> list[list[Configuration]]:
    found: dict[str, list[Configuration]] = defaultdict(list)
    for name in dict.fromkeys(name for _, name in search.epochs):
        c = search.asked.configurations[name]
        found[canonical_json([c.key(Touch.NETWORK), c.data.seed])].append(c)
    return list(found.values())


def _disk_notes(search: Search, tally: _Tally) -> list[str]:
    """Study and cache may lie on one file system; each is held against what is free where it goes."""
    notes = []
    study_bytes = sum(depth.study_bytes for depth in tally.depths)
    studies = search.study.place.absolute().path
    for what, place, needed, option in (
        *([("study", studies, study_bytes, "--studies DIR")] if studies is not None else []),
        (
            "cache",
            search.places.cache.absolute(),
            sum(tally.cache.values()),
            "--cache DIR; --cache-gb N deletes what no search uses",
        ),
    ):
        free = shutil.disk_usage(next(path for path in (place, *place.parents) if path.exists())).free
        if needed > free:
            notes.append(
                f"the {what} needs {needed / 1e9:.1f} GB, of which {free / 1e9:.1f} GB are free: the search will stop "
                f"there and go on once there is room, or elsewhere with {option}"
            )
    return notes


def _memory_notes(needed: int) -> list[str]:
    total = allocation.memory_bytes()
    if needed <= total:
        return []
    return [
        f"the trials that run at a time need {needed / 1e9:.1f} GB of memory, of which there are {total / 1e9:.1f} GB: "
        "fewer repeats or configurations at a time will be trained, or the search will fail for want of memory"
    ]
