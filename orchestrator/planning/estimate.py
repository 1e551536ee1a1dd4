"""What a search would take: work left, time, memory, disk. Rates come from a few steps measured here and now.

Steps are timed as workers take them: one thread each, and beside as many busy processes as there will be other workers.
The wall time is that of this machine with nothing else running on it: start, then all work divided by the workers.
Ray's start cannot be measured without starting it and is a constant. The range around it allows for what a measurement
misses, and for what others keep the machine busy with now.
"""

from __future__ import annotations

import dataclasses
import heapq
import math
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import psutil
import torch

from orchestrator.planning.bought import budget_notes
from orchestrator.planning.companions import companions
from orchestrator.planning.costs import BackboneCosts, Rates
from orchestrator.planning.frozen_cost import FrozenCost
from orchestrator.planning.precision_notes import arithmetic_notes, precision_notes
from orchestrator.planning.room_notes import disk_notes, memory_notes
from orchestrator.proposing.deciding import Machine
from orchestrator.resolved import KEPT_BYTES, Search
from orchestrator.results.names import IN_EVERY_NAME, told_apart
from orchestrator.store.record import canonical_json
from orchestrator.store.segments import LaneKey, Segment
from orchestrator.study.owed import alone
from search_spaces.configuration import FROZEN_PART, Configuration, shown_settings
from search_spaces.settings.declaration import Touch
from trainables.bundles.attempts import checkpoints
from trainables.bundles.checkpoints import WRITING_SHARE
from trainables.bundles.memory import share_for
from trainables.bundles.stacks import divide_into_stacks
from trainables.bundles.states import stored_states
from trainables.bundles.workbench import Workbench
from trainables.learning.endings.ending import ending_of
from trainables.learning.tasks.task import task_of
from trainables.machine import allocation

_MAY_STOP = "repeats may stop early, so these epochs and the time for training are upper limits"
_NOT_KEPT = (
    "states of some repeats are too large to be kept (--keep-gb): if you ask for more epochs later, these repeats are "
    "trained again from the start"
)
TASKS_START_S = 6.0
"""Ray, and the first workers with torch and timm in them; measured on 2 cores with nothing else running."""
TRIALS_START_S = 4.0
"""Tune and its first actors with torch and timm in them."""
CLOSE_S = 3.0
"""Summary and dashboard at the end, and Ray's end."""
TRIAL_S = 0.15
"""Handing the next trial to a worker that has just finished one."""
SEGMENT_S = 0.05
"""Lease and recipe of a segment, and the final records of ten lanes."""
ONE_LANE_SHARE = 0.25
"""Of the time of a full stack, what its first lane takes by itself."""
WITHIN = 0.3
"""What an estimate is wrong by, on a machine that nobody else uses."""
IDLE_LOAD = 0.5
"""A load up to here is no other work."""
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
    state_bytes: int = 0
    """Of these, what is kept for more epochs later."""
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
    segments_owed: int
    """What is leased and checkpointed by itself: stacks, and repeats that are trained in turn."""
    cpus: int
    gpus: int
    concurrent_trials: int
    depths: tuple[Depth, ...]
    images_to_decode: int = 0
    cache_bytes: int = 0
    study_bytes: int = 0
    state_bytes: int = 0
    memory_bytes: int = 0
    """Of all concurrent trials together, with their processes."""
    start_seconds: float = 0.0
    images_seconds: float = 0.0
    features_seconds: float = 0.0
    training_seconds: float = 0.0
    wall_seconds: float = 0.0
    wall_seconds_range: tuple[float, float] = (0.0, 0.0)
    load: float = 0.0
    """Processes that wanted one of the machine's `cores` before anything was measured, on average over a minute."""
    cores: int = 1
    """Of the whole machine, of which `cpus` may be used."""
    gpu_hours: float | None = None
    notes: tuple[str, ...] = ()
    shapes_measured: int = 0
    measuring_seconds: float = 0.0

    @property
    def is_done(self) -> bool:
        return not self.repeats_owed

    @property
    def is_busy(self) -> bool:
        """Whether others use the machine."""
        return self.load > IDLE_LOAD

    def as_json(self) -> dict[str, Any]:
        return {**dataclasses.asdict(self), "done": self.is_done}


def estimate(
    search: Search,
    reading_s: float = 0.0,
    kept_bytes: float = KEPT_BYTES,
    load: float = 0.0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Estimate:
    """Describe and time what is owed of a search; nothing is written and neither pixels nor features need to exist.

    reading_s: what it took to start and to read and check the images just now, which a search does again. Per backbone
    at most six shapes of heads and three of unfrozen networks are timed, each for about half a second. kept_bytes: what
    states at the end of segments may take in the study. load: of this machine before its images were read.
    progress(done, total): of backbones.
    """
    started = time.monotonic()
    cpus, gpus, cores = allocation.cpus(), torch.cuda.device_count(), psutil.cpu_count() or 1
    threads = torch.get_num_threads()
    bench = search.bench()
    owed = search.owed_lanes()
    slots = round(gpus / share_for(bench, [alone(lane, 0) for lane in owed])) if gpus else cpus
    segments = search.segments(_dividing(bench, slots)) if owed else []
    concurrent, every = min(len(segments), slots), _by_backbone(search)
    try:
        tally = _Tally(search, owed, segments, kept_bytes, bench.device)
        with companions(0 if gpus else max(0, concurrent - 1)):
            for number, mine in enumerate(every):
                progress(number, len(every))
                tally.add(mine)
            progress(len(every), len(every))
    finally:
        torch.set_num_threads(threads)
    asked = sum(len(epochs) for epochs in search.epochs.values())
    owing = [search.asked.configurations[name] for name in {lane.configuration for lane in owed}]
    images_s, features_s = tally.images_s / cpus, sum(tally.passes.values()) / max(1, gpus or cpus)
    training_s = _makespan(tally.trials, max(1, concurrent))
    start_s = (TASKS_START_S + TRIALS_START_S + CLOSE_S) * bool(segments) + reading_s
    process = psutil.Process().memory_info().rss
    wall_s = start_s + images_s + features_s + training_s
    needed = concurrent * (process + max((depth.memory_per_trial_bytes for depth in tally.depths), default=0))
    return Estimate(
        study=search.study.name,
        configurations=len({name for _, name in search.epochs}),
        repeats_asked=asked,
        repeats_done=asked - len(owed),
        repeats_owed=len(owed),
        epochs_owed=sum(depth.epochs_owed for depth in tally.depths),
        segments_owed=len(segments),
        cpus=cpus,
        gpus=gpus,
        concurrent_trials=concurrent,
        depths=tuple(tally.depths),
        images_to_decode=sum(tally.images.values()),
        cache_bytes=sum(tally.cache.values()),
        study_bytes=sum(depth.study_bytes for depth in tally.depths),
        state_bytes=sum(depth.state_bytes for depth in tally.depths),
        memory_bytes=needed,
        start_seconds=start_s,
        images_seconds=images_s,
        features_seconds=features_s,
        training_seconds=training_s,
        wall_seconds=wall_s,
        wall_seconds_range=_range(wall_s, load, max(1, concurrent), cores),
        load=load,
        cores=cores,
        gpu_hours=gpus * (features_s + training_s) / 3600 if gpus else None,
        notes=(
            *budget_notes(search, tally.trials),
            *tally.notes,
            *precision_notes(owing, features_s),
            *arithmetic_notes(owing, bench.device),
            *memory_notes(needed),
            *disk_notes(search, sum(depth.study_bytes for depth in tally.depths), sum(tally.cache.values())),
        ),
        shapes_measured=tally.shapes,
        measuring_seconds=time.monotonic() - started,
    )


def costs_of_segments(search: Search) -> dict[Segment, float]:
    """Seconds of one worker for an epoch of one lane, of each segment that is owed, as `estimate` times them.

    Nothing is put beside what is timed: workers are at work.
    """
    bench, owed = search.bench(), search.owed_lanes()
    segments = search.segments(_dividing(bench, allocation.cpus())) if owed else []
    tally = _Tally(search, owed, segments, 0.0, bench.device)
    for mine in _by_backbone(search):
        tally.add(mine)
    return tally.per_epoch


def _dividing(bench: Workbench, workers: int) -> Machine:
    return Machine(workers, bench.device.type, partial(divide_into_stacks, bench, workers=workers), bench.remember)


class _Tally:
    """Sums over the backbones of a search."""

    def __init__(
        self,
        search: Search,
        owed: Sequence[LaneKey],
        segments: Sequence[Segment],
        kept_bytes: float,
        device: torch.device,
    ) -> None:
        self.search = search
        self.owed = owed
        self.segments = segments
        self.keeps = kept_bytes / max(1, sum(len(epochs) for epochs in search.decided.asked().values()) + len(owed))
        self.device = device
        self.depths: list[Depth] = []
        self.images: dict[str, int] = {}
        self.cache: dict[str, int] = {}
        self.notes: list[str] = []
        self.passes: dict[str, float] = {}
        self.rows: dict[str, set[str]] = {}
        """Views to compute by name, under each key of features."""
        self.images_s = 0.0
        self.trials: dict[Segment, float] = {}
        self.per_epoch: dict[Segment, float] = {}
        """Of each lane."""
        self.shapes = 0

    def add(self, mine: list[Configuration]) -> None:
        """One backbone: its depths in the order asked."""
        by_depth: dict[str, list[Configuration]] = defaultdict(list)
        for c in mine:
            same = {path: value for path, value in c.stack_key().items() if path != "optimiser.batch_size"}
            by_depth[canonical_json(same)].append(c)
        owed = {lane.configuration for lane in self.owed}
        owing = [c for c in mine if c.id in owed]
        costs = BackboneCosts(self.search, owing, self.segments, self.device) if owing else None
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
        left = [lane for lane in self.owed if lane.configuration in ids]
        mine = [one for one in self.segments if one.configurations[0] in ids]
        if any(not ending_of(c.ending).is_complete for c in here) and _MAY_STOP not in self.notes:
            self.notes.append(_MAY_STOP)
        return Depth(
            backbone=first.network.backbone,
            strategy=first.strategy,
            non_linearities=first.head.non_linearities,
            unfrozen=first.live.scope.unfrozen,
            configurations=len(here),
            repeats_asked=sum(asked),
            repeats_owed=len(left),
            epochs_owed=sum(self._epochs_left(one) * self._owed_in(one) for one in mine),
        )

    def _costed(self, depth: Depth, here: dict[str, Configuration], costs: BackboneCosts, rates: Rates) -> Depth:
        mine = [one for one in self.segments if one.configurations[0] in here]
        first = here[mine[0].configurations[0]]
        frozen = costs.frozen(first)
        if frozen.note:
            self.notes.append(frozen.note)
        self._prepare(first, frozen, costs, rates)
        samples = costs.samples(first)
        training, scored = len(samples.training), sum(len(rows) for rows in samples.scoring.values())
        seconds, size, states, lanes, timed = 0.0, 0, 0, 1, rates.lanes_of(first)
        for segment in mine:
            c, together = here[segment.configurations[0]], len(segment.lanes)
            train_s, score_s = rates.epoch_s(c, training, scored)
            write_s, checkpoint = rates.checkpoint(c)
            left = self._epochs_left(segment)
            spent = (ONE_LANE_SHARE + (1 - ONE_LANE_SHARE) * together / timed) * (left * train_s + (left + 1) * score_s)
            spent = spent * (1 + WRITING_SHARE) + write_s
            self.trials[segment] = spent + SEGMENT_S * math.ceil(together / 10)
            if left:
                self.per_epoch[segment] = spent / left / together
            seconds += spent
            lanes = max(lanes, together)
            size += self._owed_in(segment) * record_bytes(c, segment.epochs, samples.scoring)
            state = int(checkpoint * together / timed)
            if state <= self.keeps * together:
                states += state
            elif _NOT_KEPT not in self.notes:
                self.notes.append(_NOT_KEPT)
        return dataclasses.replace(
            depth,
            cached_up_to=frozen.layer,
            why=frozen.why,
            values_per_view=frozen.values,
            views=frozen.views,
            feature_bytes=frozen.size_bytes,
            views_to_compute=frozen.missing,
            memory_per_trial_bytes=costs.memory_bytes(first, frozen, lanes),
            study_bytes=size + states,
            state_bytes=states,
            training_seconds=seconds,
            seconds_per_epoch=seconds / max(1, depth.epochs_owed),
        )

    def _prepare(self, c: Configuration, frozen: FrozenCost, costs: BackboneCosts, rates: Rates) -> None:
        """Count squares and features once, however many depths and partitions share them."""
        for partition in costs.partitions(c):
            squares, missing, seconds = costs.images(c, partition)
            if squares not in self.images:
                self.images[squares] = missing
                self.cache[squares] = missing * 3 * c.image.store_size**2
                if seconds is None:
                    self.notes.append("the images are not here: the time to decode them is not included")
                self.images_s += missing * (seconds or 0.0)
        new = 0
        for key, lacking in frozen.lacking.items():
            known = self.rows.setdefault(key, set())
            new += len(lacking - known)
            known |= lacking
            self.cache[key] = len(known) * frozen.row_bytes
        if new:
            # one pass over the images serves all depths, so that the longest counts
            workers = torch.cuda.device_count() or allocation.cpus()
            spent = new * rates.prefix_s(c.live.scope) + workers * costs.opening_s
            one = canonical_json(c.key(*FROZEN_PART))
            self.passes[one] = max(self.passes.get(one, 0.0), spent)

    def _epochs_left(self, segment: Segment) -> int:
        """Epochs of a segment that neither a checkpoint nor an end state holds."""
        storage = self.search.study.storage
        if self.search.asked.configurations[segment.configurations[0]].head.is_fitted:
            return 1
        if stored_states(storage, segment):
            return 0
        reached = max((one.epoch for one in checkpoints(storage, segment)), default=segment.start)
        return segment.epochs - min(reached, segment.epochs)

    def _owed_in(self, segment: Segment) -> int:
        """Lanes of a segment that lack a result."""
        return len(self._all_owed.intersection(segment.lanes))

    @cached_property
    def _all_owed(self) -> frozenset[LaneKey]:
        return frozenset(self.owed)


def record_bytes(c: Configuration, epochs: int, scoring: dict[str, Any]) -> int:
    """Of one final record: history and predictions."""
    row = len(scoring) * (8 + 4 * math.prod(task_of(c.data).shape))
    return RECORD_BYTES + (epochs + 1) * row + 2 * c.outputs * len(scoring["valid"])


def _range(seconds: float, load: float, workers: int, cores: int) -> tuple[float, float]:
    """What an estimate may miss, and at most as much longer as others take from the workers, if they go on."""
    taken = max(1.0, (workers + load) / cores) if load > IDLE_LOAD else 1.0
    return seconds / (1 + WITHIN), seconds * (1 + WITHIN) * taken


def _makespan(trials: Mapping[Segment, float], workers: int) -> float:
    """Seconds until the last trial ends when each free worker takes the next one."""
    free = [0.0] * workers
    for seconds in trials.values():
        heapq.heapreplace(free, free[0] + TRIAL_S + seconds)
    return max(free)


def _by_backbone(search: Search) -> list[list[Configuration]]:
    by_backbone: dict[str, list[Configuration]] = defaultdict(list)
    for name in dict.fromkeys(name for _, name in search.epochs):
        c = search.asked.configurations[name]
        by_backbone[canonical_json([c.key(Touch.NETWORK), c.data.seed])].append(c)
    return list(by_backbone.values())
