"""How long a study still takes: epochs that are left, each weighed by what it costs.

What one costs is known from results, whose records hold their time, and from segments that are seen at work. Epochs of
heads say nothing of those of trained backbones, nor linear probes of MLP heads, so that costs are kept apart by kind of
network. What nobody has trained yet may have been timed for that (`results.epoch_times`): it counts as much longer as
what is known takes longer than it was timed. Else the cost of a depth lies on the line through those that were trained,
and beyond them it grows with the depth; where nothing like it was trained, it is not known and not guessed.
"""

from __future__ import annotations

import contextlib
import time
from collections import defaultdict, deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from orchestrator.results.amounts import duration
from orchestrator.results.epoch_times import read_epoch_times
from orchestrator.store.concurrently import concurrently
from orchestrator.store.errors import DamagedRecordError
from orchestrator.store.layout import FinalName
from orchestrator.store.schema import FinalRecord
from orchestrator.store.segments import LaneKey, Segment
from orchestrator.store.storage import Storage
from search_spaces.configuration import Configuration
from search_spaces.live import LAST
from search_spaces.stored import read_configuration

SAMPLES = 6
"""Results from which the cost of a kind follows: the newest that were met."""
READ_AT_ONCE = 8
"""Most records that are read in one look, so that the first look at a large study is not slow."""
READ_EVERY_S = 5.0
"""How often it is looked whether somebody has timed what nobody has trained."""
LONG_EPOCHS = 30
"""After so many epochs the pace of a segment at work is known as well as that of results."""
WORKERS_OVER_S = 60.0
"""How many workers there are is the most that were seen at work within this time: between segments they are fewer."""


class Kind(NamedTuple):
    """Equal where an epoch costs about the same."""

    network: tuple[object, ...]
    depth: int
    """Layers that train: of the last layers."""
    head: tuple[object, ...]
    batch_size: int

    @classmethod
    def of(cls, c: Configuration) -> Kind:
        scope = c.live.scope
        other = "" if scope.name == LAST else str(scope.key)
        computed = c.live.trains_body, c.live.from_pixels, c.network.precision, c.adaptation.arithmetic
        network = c.network.backbone, c.image.size, other, *computed
        return cls(network, scope.unfrozen, (c.head.name, c.head.non_linearities), c.optimiser.batch_size)


@dataclass(frozen=True)
class Left:
    """seconds: until all is trained whose cost is known, None where nothing is, or nobody is at work. epochs: of those
    that are left, how many have a cost that nobody knows, where others have one. share: of all the work, how much is
    done; None unless every cost is known."""

    seconds: float | None = None
    epochs: int = 0
    share: float | None = None

    @property
    def words(self) -> str:
        """`about 12 min left`; "" where there is nothing to say."""
        if not self.epochs:
            return f"about {duration(self.seconds)} left" if self.seconds is not None else ""
        least = f"at least {duration(self.seconds)} left: " if self.seconds is not None else ""
        are = "epoch is of a network" if self.epochs == 1 else "epochs are of networks"
        return f"{least}{self.epochs} {are} not timed yet"


NOTHING_KNOWN = Left()


class TimeLeft:
    """Fed with each look at a study. Not shared between threads."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self._kinds: dict[str, Kind | None] = {}
        self._met: set[LaneKey] = set()
        self._unread: dict[Kind, deque[tuple[LaneKey, FinalName]]] = defaultdict(lambda: deque(maxlen=SAMPLES))
        self._costs: dict[Kind, deque[float]] = defaultdict(lambda: deque(maxlen=SAMPLES))
        """Seconds of one worker for an epoch of one repeat, of results."""
        self._seen: dict[str, _Seen] = {}
        """By segment, those at work."""
        self._workers: deque[tuple[float, int]] = deque()
        self._timed: dict[Kind, float] = {}
        """As they were timed before anybody trained them."""
        self._read = time.monotonic()
        """When these were read; nobody has timed anything before a search has trained for a while."""
        self.misses_times = False
        """Whether something is left of a kind that nobody has trained or timed, at the last look."""

    def look(
        self,
        asked: Mapping[LaneKey, int],
        done: Mapping[LaneKey, int],
        finals: Mapping[LaneKey, FinalName],
        segments: Iterable[Segment],
        at_work: Sequence[tuple[Segment, int]],
    ) -> Left:
        """asked, done: epochs of each lane, done of those that have any. finals: the longest result of each that has
        one. segments: in which what is left is trained. at_work: those that somebody works on, and the epoch of each.
        """
        workers = self._count(at_work)
        left = {lane: epochs - there for lane, epochs in asked.items() if (there := done.get(lane, 0)) < epochs}
        if not left:
            return Left(share=1.0 if asked else None)
        self._learn(finals)
        known = self._known()
        if not known:
            return NOTHING_KNOWN
        names = list({lane.configuration for lane in asked})
        concurrently(self._kind, names)
        expected = self._expect({lane.configuration for lane in left}, known)
        costs = {name: self._cost(name, known, expected) for name in names}
        unknown = sum(epochs for lane, epochs in left.items() if costs[lane.configuration] is None)

        def spent(epochs: Mapping[LaneKey, int]) -> float:
            return sum((costs[lane.configuration] or 0.0) * count for lane, count in epochs.items())

        owed = spent(left)
        if not owed:
            return Left(None, unknown)
        seconds = None
        if workers:
            # whatever is trained together is trained by one worker
            together = ({lane: left[lane] for lane in one.lanes if lane in left} for one in segments)
            seconds = max(owed / workers, *map(spent, together), 0.0)
        if unknown:
            return Left(seconds, unknown)
        before = spent({lane: min(epochs, asked[lane]) for lane, epochs in done.items() if lane in asked})
        return Left(seconds, 0, before / (before + owed))

    def _count(self, at_work: Sequence[tuple[Segment, int]]) -> int:
        """Workers; also takes note of how fast they are."""
        now = time.monotonic()
        self._workers.append((now, len(at_work)))
        while now - self._workers[0][0] > WORKERS_OVER_S:
            self._workers.popleft()
        here = {segment.id for segment, _ in at_work}
        self._seen = {name: seen for name, seen in self._seen.items() if name in here}
        for segment, epoch in at_work:
            self._seen.setdefault(segment.id, _Seen(segment)).at(epoch, now)
        return max(count for _, count in self._workers)

    def _learn(self, finals: Mapping[LaneKey, FinalName]) -> None:
        """Read a few results of each kind, those met last."""
        for lane in finals.keys() - self._met:
            self._met.add(lane)
            if (kind := self._kind(lane.configuration)) is not None:
                self._unread[kind].append((lane, finals[lane]))
        left = READ_AT_ONCE
        for kind, waiting in sorted(self._unread.items(), key=lambda one: len(self._costs[one[0]])):
            while waiting and left:
                left -= 1
                lane, final = waiting.pop()
                with contextlib.suppress(FileNotFoundError, DamagedRecordError, KeyError, TypeError, ValueError):
                    path = lane.bundle.final(*final)
                    record = FinalRecord.from_bytes(self.storage.read(path), path)
                    if record.history.epochs:
                        self._costs[kind].append(float(record.meta["seconds"]) / record.history.epochs)

    def _known(self) -> dict[Kind, float]:
        """What is seen at work for long counts before results: those may be of other stacks, or of another machine."""
        known = {kind: list(costs) for kind, costs in self._costs.items() if costs}
        long: dict[Kind, list[float]] = {}
        for seen in self._seen.values():
            kind, cost = self._kind(seen.segment.configurations[0]), seen.cost
            if kind is not None and cost is not None:
                known.setdefault(kind, []).append(cost)
                if seen.epochs >= LONG_EPOCHS:
                    long.setdefault(kind, []).append(cost)
        return {kind: float(np.mean(costs)) for kind, costs in {**known, **long}.items()}

    def _expect(self, left: Collection[str], known: Mapping[Kind, float]) -> dict[Kind, float]:
        """Of kinds that were timed and not trained, as far as one is left."""
        kinds = {kind for name in left if (kind := self._kind(name)) is not None} - known.keys()
        now = time.monotonic()
        if not kinds <= self._timed.keys() and now - self._read >= READ_EVERY_S:
            times = read_epoch_times(self.storage)
            self._timed = {kind: each for name, each in times.items() if (kind := self._kind(name)) is not None}
            self._read = now
        self.misses_times = not kinds <= self._timed.keys()
        longer = {kind: known[kind] / seconds for kind, seconds in self._timed.items() if kind in known}
        expected = {}
        for kind in kinds & self._timed.keys():
            alike = [times for other, times in longer.items() if bool(other.depth) == bool(kind.depth)]
            expected[kind] = self._timed[kind] * float(np.median(alike or list(longer.values()) or [1.0]))
        return expected

    def _cost(self, name: str, known: Mapping[Kind, float], expected: Mapping[Kind, float]) -> float | None:
        kind = self._kind(name)
        if kind is None:
            return None
        if kind in known:
            return known[kind]
        if kind in expected:
            return expected[kind]
        depths: dict[int, list[float]] = defaultdict(list)
        for other, cost in known.items():
            if other.network == kind.network and (kind.depth or other.head == kind.head):
                depths[other.depth].append(cost)
        if not depths:
            return None
        means = {depth: float(np.mean(costs)) for depth, costs in depths.items()}
        if kind.depth in means or not kind.depth:
            return means.get(kind.depth)
        places = [0, *sorted(means)]
        deepest = places[-1]
        if kind.depth > deepest:
            return means[deepest] * kind.depth / deepest
        return float(np.interp(kind.depth, places, [0.0, *(means[place] for place in places[1:])]))

    def _kind(self, name: str) -> Kind | None:
        if name not in self._kinds:
            kind = None
            with contextlib.suppress(FileNotFoundError, DamagedRecordError):
                kind = Kind.of(read_configuration(self.storage, name))
            self._kinds[name] = kind
        return self._kinds[name]


class _Seen:
    """A segment at work. Time counts from the first epoch that was seen to begin."""

    def __init__(self, segment: Segment) -> None:
        self.segment = segment
        self._met: int | None = None
        self._from: tuple[float, int] | None = None
        self._until: tuple[float, int] | None = None

    def at(self, epoch: int, now: float) -> None:
        if self._met is None or epoch < self._met:
            self._met, self._from, self._until = epoch, None, None  # also where it goes on from an earlier checkpoint
        elif self._from is None:
            self._from = (now, epoch) if epoch > self._met else None
        elif epoch > (self._until or self._from)[1]:
            self._until = now, epoch

    @property
    def epochs(self) -> int:
        """That were timed."""
        return self._until[1] - self._from[1] if self._from and self._until else 0

    @property
    def cost(self) -> float | None:
        """Of an epoch of one of its lanes."""
        if self._from is None or self._until is None:
            return None
        (began, first), (ended, last) = self._from, self._until
        return (ended - began) / (last - first) / len(self.segment.lanes)
