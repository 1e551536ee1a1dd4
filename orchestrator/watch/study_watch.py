"""Looking at a study again and again while others write to it: who works on what, how far, how fast; torch-free.

A look costs a few listings: segments whose lanes are all done are not visited again, those that nobody began cost
nothing, and of results a few are read, for the time that is left. So it can be repeated every second, beside any number
of drivers, on a study of thousands of repeats.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from orchestrator.results.at_work import SILENT_AFTER_S, begun
from orchestrator.results.decided import Decided
from orchestrator.running.pace import Pace
from orchestrator.running.time_left import Left, TimeLeft
from orchestrator.store.concurrently import concurrently
from orchestrator.store.layout import BUNDLES, RESULTS, BundleKey, FinalName
from orchestrator.store.leases import STALE_AFTER_S, LeaseView, current_lease
from orchestrator.store.record import short_hash
from orchestrator.store.segments import LaneKey, Segment
from orchestrator.store.storage import Storage
from trainables.bundles.attempts import checkpoints
from trainables.bundles.work import is_enough, longest_finals


@dataclass(frozen=True)
class Running:
    """A segment that somebody works on."""

    segment: Segment
    lanes: tuple[LaneKey, ...]
    """Those that are still owed."""
    epoch: int
    """How far they are."""
    host: str
    device: str
    silent_s: float
    """Since this observer last saw the heartbeat change, seconds."""

    @property
    def of(self) -> int:
        """Epochs up to which they are trained here."""
        return self.segment.epochs

    @property
    def configurations(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(lane.configuration for lane in self.lanes))

    @property
    def repeats(self) -> tuple[int, ...]:
        return tuple(sorted({lane.repeat for lane in self.lanes}))


@dataclass(frozen=True)
class Look:
    """A study at one moment. Epochs count those of every repeat, done and running; asked is what was decided so far."""

    stamp: str
    """Changes with everything but the progress of running repeats: results, decisions, failures, who runs."""
    running: tuple[Running, ...]
    repeats_done: int
    repeats_asked: int
    epochs_done: int
    epochs_asked: int
    epochs_per_second: float
    """Over the last minute of looking; NaN where nothing was seen to happen yet."""
    left: Left


class StudyWatch:
    """Looks at one study; keeps between looks what cannot change any more. Not shared between threads."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self._decided = Decided(storage)
        self._asked: dict[LaneKey, int] = {}
        self._finals: dict[LaneKey, FinalName] = {}
        """The longest that was seen of each lane."""
        self._listed: set[BundleKey] = set()
        self._met: set[str] = set()
        self._open: dict[str, Segment] = {}
        """Segments that are not done; of one that was divided its parts."""
        self._beats: dict[str, tuple[int, tuple[str, int], float]] = {}
        self._pace = Pace()
        self._time_left = TimeLeft(storage)

    def look(self) -> Look:
        """The study now. Files that are torn or vanish while one looks are passed over."""
        if self._decided.read():
            self._take_decisions()
        folders = self._begun()
        self._list_finals({lane.bundle for segment in folders for lane in self._owed_of(segment)})
        facts, running, reached = [], [], dict[LaneKey, int]()
        for segment, names in folders.items():
            lanes = self._owed_of(segment)
            if not lanes:
                continue
            lease = current_lease(self.storage, segment.folder, names)
            epoch = self._epoch(segment, lease)
            reached |= {lane: max(epoch, reached.get(lane, 0)) for lane in lanes}
            at_work = self._at_work(segment, lanes, epoch, lease)
            running += [] if at_work is None else [at_work]
            failures = [name for name in names if name.startswith("failure-")]
            facts.append([segment.id, failures, at_work is not None])
        done = results = 0
        trained: dict[LaneKey, int] = {}
        for lane, asked in self._asked.items():
            final = self._finals.get(lane)
            is_done = is_enough(final, asked)
            has = asked if is_done else min(asked, final.epochs if final else 0)
            trained[lane] = max(has, min(asked, reached.get(lane, 0)))
            done, results = done + is_done, results + has
        stamp = short_hash([sorted(facts), self._decisions(), self._results(), done, results])
        all_epochs, epochs = sum(self._asked.values()), sum(trained.values())
        here = [(one.segment, one.epoch) for one in running]
        left = self._time_left.look(self._asked, trained, self._finals, self._open.values(), here)
        pace = self._pace.per_second(epochs)
        return Look(stamp, tuple(running), done, len(self._asked), epochs, all_epochs, pace, left)

    def _take_decisions(self) -> None:
        self._asked = {
            LaneKey(*key, repeat): epochs
            for key, several in self._decided.asked().items()
            for repeat, epochs in several.items()
        }
        for segment in self._decided.segments():
            if segment.id not in self._met:
                self._met.add(segment.id)
                self._open[segment.id] = segment
        # whoever was here before us may have left results of whatever is new
        unseen = {lane.bundle for lane in self._asked} - self._listed
        partitions = sorted({bundle.partition for bundle in unseen})
        there = {partition: set(self.storage.list(f"{BUNDLES}/{partition}")) for partition in partitions}
        self._list_finals({bundle for bundle in unseen if bundle.configuration in there[bundle.partition]})
        self._listed |= unseen

    def _begun(self) -> Mapping[Segment, Sequence[str]]:
        """Open segments that have a folder, and the names in it: most that wait have none, and cost nothing."""
        started = begun(self.storage, list(self._open.values()))
        for segment, smaller in started.divided.items():
            del self._open[segment.id]
            self._open |= {part.id: part for part in smaller}
        return started.folders

    def _list_finals(self, bundles: Collection[BundleKey]) -> None:
        """Where results may have come since the last look."""
        several = sorted(bundles)
        listed = concurrently(lambda bundle: longest_finals(self.storage, bundle), several)
        longest = {
            LaneKey(bundle.partition, bundle.configuration, repeat): final
            for bundle, finals in zip(several, listed, strict=True)
            for repeat, final in finals.items()
        }
        if not longest.items() <= self._finals.items():
            self._finals |= longest
            self._open = {name: segment for name, segment in self._open.items() if self._owed_of(segment)}

    def _owed_of(self, segment: Segment) -> tuple[LaneKey, ...]:
        return tuple(lane for lane in segment.lanes if not is_enough(self._finals.get(lane), segment.epochs))

    def _epoch(self, segment: Segment, lease: LeaseView | None) -> int:
        """How far its lanes are, from its newest lease and the names of checkpoints.

        A lease that was just taken says nothing of what an earlier one left; the checkpoints do, whoever is gone.
        """
        told = lease.content.get("epoch") if lease is not None else 0
        reached = [told] if isinstance(told, int) else []
        furthest = checkpoints(self.storage, segment)[:1]
        return min(segment.epochs, max([segment.start, *reached, *(one.epoch for one in furthest)]))

    def _at_work(
        self, segment: Segment, lanes: tuple[LaneKey, ...], epoch: int, lease: LeaseView | None
    ) -> Running | None:
        if lease is None or lease.is_released or lease.owner_is_dead():
            return None
        silent = self._silent(segment, lease)
        if silent >= STALE_AFTER_S or _age_s(lease) >= SILENT_AFTER_S:
            return None
        host, device = str(lease.content.get("host", "")), str(lease.content.get("device", ""))
        return Running(segment, lanes, epoch, host, device, silent)

    def _silent(self, segment: Segment, lease: LeaseView) -> float:
        """Seconds since the heartbeat was first seen as it is, on this observer's own clock."""
        now, seen = time.monotonic(), self._beats.get(segment.id)
        if seen is None or seen[:2] != (lease.number, lease.beat):
            self._beats[segment.id] = seen = (lease.number, lease.beat, now)
        return now - seen[2]

    def _decisions(self) -> list[object]:
        """How much was decided in each search."""
        decided = self._decided
        return [
            [search, len(decided.budgets.get(search, ())), len(decided.decisions.get(search, ()))]
            for search in sorted(decided.searches)
        ]

    def _results(self) -> list[object]:
        """Names of what evaluation, selection and people left behind, two levels deep."""
        return [[name, self.storage.list(f"{RESULTS}/{name}")] for name in self.storage.list(RESULTS)]


def _age_s(lease: LeaseView) -> float:
    """Since the lease says that it was renewed, by the clocks of both machines; infinite where it does not say."""
    try:
        updated = datetime.fromisoformat(str(lease.content.get("updated")))
    except ValueError:
        return float("inf")
    if updated.tzinfo is None:
        updated = updated.replace(tzinfo=UTC)
    return (datetime.now(UTC) - updated).total_seconds()
