"""What is handed out next: segments that are owed, ready and not leased by somebody else. No Ray in it."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from orchestrator.running.retries import Retries, why_died
from orchestrator.running.tally import Tally
from orchestrator.store.concurrently import concurrently
from orchestrator.store.errors import StorageError
from orchestrator.store.layout import ConfigurationKey
from orchestrator.store.leases import RENEW_EVERY_S, Driver, LeaseView, StaleWatch, current_lease
from orchestrator.store.segments import SEGMENTS, LaneKey, Segment
from orchestrator.store.storage import Storage
from orchestrator.study.owed import Chain, alone, owed
from trainables.bundles.failures import Kind, LostError, note_failure
from trainables.bundles.parents import Configurations, lacking_parents, parent_of
from trainables.bundles.states import is_restored, lacking
from trainables.bundles.work import divide, owed_lanes, parts, parts_of

BUSY_RETRY_S = 2.0
"""What somebody else holds is looked at again after this time."""
MOST_IN_TURN = 10
"""Lanes trained in turn that one trial gets at most, so that short ones are not all handing over."""


class Features(Protocol):
    """What the queue asks of the feature stage."""

    def add(self, wanted: Iterable[ConfigurationKey]) -> None:
        """These will be needed."""

    def is_ready(self, of: ConfigurationKey) -> bool: ...

    def error(self, of: ConfigurationKey) -> Exception | None:
        """Why they cannot be had, if they cannot."""


@dataclass(frozen=True)
class Taken:
    """Segments that go out to one trial, which trains them one after the other.

    over: numbers of the last leases on them (0: none yet). restores: they have their results; what others begin from
    is made again.
    """

    segments: tuple[Segment, ...]
    over: tuple[int, ...]
    restores: bool = False

    @property
    def key(self) -> ConfigurationKey:
        """All are served by the same features."""
        return key_of(self.segments[0])


def key_of(segment: Segment) -> ConfigurationKey:
    """Of its first configuration; the features serve all of a stack."""
    return ConfigurationKey(segment.partition, segment.configurations[0])


class WorkQueue:
    """Segments that wait, in the order in which they go out. More may be added at any time."""

    def __init__(
        self,
        storage: Storage,
        features: Features,
        tally: Tally,
        workers: Callable[[], int],
        why_lost: Callable[[LeaseView | None], LostError] = lambda lease: LostError("the worker process died"),
        configurations: Configurations | None = None,
    ) -> None:
        """workers: how many trials there is room for. why_lost: says why whoever held a lease (None: none) is gone.
        configurations: those of the study by id, where some may begin from others."""
        self.storage = storage
        self.driver = Driver.here()
        """For whom workers take the leases on what goes out."""
        self.features = features
        self.tally = tally
        self.errors: list[Exception] = []
        """What kept features from being computed, each once."""
        self._configurations = configurations
        self._workers = workers
        self._why_lost = why_lost
        self._retries = Retries(storage)
        self._watch = StaleWatch()
        self._watched = -math.inf
        self._chain = Chain()
        self._not_before: dict[Segment, float] = {}
        self._chained: set[Segment] = set()
        self._waiting: list[Segment] = []
        self._known: set[Segment] = set()
        self._out: set[Segment] = set()
        self._restores: set[Segment] = set()
        self._lost: set[tuple[LaneKey, int]] = set()
        """Lanes that will not come to so many epochs: what gives them these failed for good."""
        self._without_end: set[Segment] = set()
        """Those whose end state could not be made again."""
        self._failed: set[LaneKey] = set()

    @property
    def waiting(self) -> tuple[Segment, ...]:
        return tuple(self._waiting)

    def know(self, segments: Iterable[Segment]) -> None:
        """Segments of the study from which others may go on, whether they are this driver's to train or not."""
        new = [segment for segment in segments if segment not in self._chained]
        self._chained.update(new)
        self._chain.add(new)

    def add(self, segments: Iterable[Segment]) -> list[Segment]:
        """Have them trained too, after what waits, and what they go on from; returns what is new to the queue."""
        added = [one for one in segments if one not in self._known]
        unknown = [one for one in self._chain.with_all_before(added) if one not in self._known]
        self._known.update(unknown)
        for segment, smaller in zip(unknown, parts_of(self.storage, unknown), strict=True):
            if smaller != (segment,):
                self._divided(segment, smaller)
        new = owed(self.storage, unknown)
        self._need_features(new)
        self._waiting += new
        return new

    def keep(self, segments: Iterable[Segment]) -> None:
        """Of what waits only these, and what they go on from: nothing else is begun any more."""
        wanted = {lane for one in self._chain.with_all_before(segments) for lane in one.lanes}
        self._waiting = [one for one in self._waiting if not wanted.isdisjoint(one.lanes)]

    def take(self, fits: Callable[[Segment], bool] = lambda segment: True) -> Taken | None:
        """The next that can go out and fits, None where none can now; what is found finished on the way is dropped.

        Single lanes that are trained in turn go out several at a time while many wait.
        """
        first = self._take_one(fits)
        if first is None:
            return None
        segments, over = [first[0]], [first[1]]
        restores = first[0] in self._restores
        if len(first[0].lanes) == 1 and not restores:
            waiting = sum(self._is_alike(first[0], segment) for segment in self._waiting)
            for _ in range(min(MOST_IN_TURN - 1, waiting // (2 * max(1, self._workers())))):
                more = self._take_one(lambda segment: self._is_alike(first[0], segment))
                if more is None:
                    break
                segments.append(more[0])
                over.append(more[1])
        self._out.update(segments)
        return Taken(tuple(segments), tuple(over), restores)

    def watch(self) -> None:
        """Look at the leases on what waits, every few seconds: those of drivers that are gone become stale while every
        worker here is busy, and what others have finished is dropped."""
        if time.monotonic() - self._watched < RENEW_EVERY_S:
            return
        self._watched = time.monotonic()
        begun = set(self.storage.list(SEGMENTS))
        segments = [segment for segment in self.waiting if segment.id in begun]
        leases = concurrently(lambda segment: current_lease(self.storage, segment.folder), segments)
        for segment, lease in zip(segments, leases, strict=True):
            if self._is_free(segment, lease) and not self._is_owed(segment):
                self._waiting.remove(segment)
                self._finished(segment)

    def ended(self, taken: Taken, outcome: str, failure: Kind | None = None, at: int = 0) -> None:
        """What becomes of segments that come back: "finished", "failed", "superseded", "busy", "stopped" or "died".

        at: which of them was under way. What was not begun, or is held by others, waits again.
        """
        self._out.difference_update(taken.segments)
        failed = taken.segments[at] if failure is not None else None
        if outcome == "died":
            failed, failure = why_died(self.storage, taken.segments, taken.over, self._why_lost)
        pause = time.monotonic() + (BUSY_RETRY_S if outcome in ("busy", "stopped") else 0.0)
        for segment in taken.segments:
            if not self._is_owed(segment):
                self._finished(segment)
            elif segment == failed and failure is not None:
                again = self._retries.again(segment, failure, divides=segment not in self._restores)
                if not again:
                    self._lose(segment)
                elif again != (segment,):
                    self._divided(segment, again)
                self._put_back(again, 0.0)
            else:
                self._put_back((segment,), pause)

    def _put_back(self, segments: Sequence[Segment], not_before: float) -> None:
        """They go out next, in their order."""
        self._not_before |= dict.fromkeys(segments, not_before)
        self._known.update(segments)
        self._waiting[:0] = segments

    def _divided(self, segment: Segment, smaller: Sequence[Segment]) -> None:
        """Others go on from its parts from now on."""
        self._known.update(smaller)
        self._chain.divide(segment, smaller)

    def _need_features(self, segments: Iterable[Segment]) -> None:
        keys = (ConfigurationKey(one.partition, name) for one in segments for name in one.configurations)
        self.features.add(dict.fromkeys(keys))

    def _finished(self, segment: Segment) -> None:
        if segment in self._restores:
            self._restores.discard(segment)
        else:
            self.tally.finished += len(segment.lanes)
        self._not_before = {other: when for other, when in self._not_before.items() if not other.start}

    def _take_one(self, fits: Callable[[Segment], bool]) -> tuple[Segment, int] | None:
        """A segment that leaves the queue, and the number of the last lease on it."""
        while True:
            before = self.waiting
            free = self._first_free(fits)
            if free is not None or self.waiting == before:
                return free

    def _first_free(self, fits: Callable[[Segment], bool]) -> tuple[Segment, int] | None:
        """As above, of what waits now; what comes into the queue on the way is not looked at."""
        now = time.monotonic()
        for segment in self.waiting:
            if not fits(segment) or not self._may_go(segment, now):
                continue
            error = self.features.error(key_of(segment))
            if error is not None:
                self._give_up(segment, error)
            elif self.features.is_ready(key_of(segment)):
                free = self._free(segment, now)
                if free is not None:
                    self._waiting.remove(segment)
                    return segment, free
        return None

    def _free(self, segment: Segment, now: float) -> int | None:
        """The number of the last lease on a segment that can go out now."""
        smaller = parts(self.storage, segment)
        if smaller != (segment,):
            place = self._waiting.index(segment)
            self._waiting[place : place + 1] = [part for part in smaller if part not in self._known]
            self._divided(segment, smaller)
            return None
        if not self._is_owed(segment):
            self._waiting.remove(segment)
            self._finished(segment)
            return None
        if self._must_wait(segment):
            self._not_before[segment] = now + BUSY_RETRY_S
            return None
        lease = current_lease(self.storage, segment.folder)
        if not self._is_free(segment, lease):
            self._not_before[segment] = now + BUSY_RETRY_S
            return None
        return lease.number if lease else 0

    def _is_free(self, segment: Segment, lease: LeaseView | None) -> bool:
        """Whether nobody works on what waits here. Who took the lease for this driver does not: its trial has ended, or
        Ray says that it is lost. Should it live on, out of reach, it learns of its successor as anybody does."""
        return (lease is not None and lease.is_through(self.driver)) or self._watch.is_free(segment.folder, lease)

    def _must_wait(self, segment: Segment) -> bool:
        """Whether what its lanes begin from is not there; what was there and is gone is made again."""
        if not segment.start:
            return self._must_wait_for_parents(segment)
        missing = lacking(self.storage, segment)
        lost = {lane for lane in missing.lanes if (lane, segment.start) in self._lost}
        lost.update(lane for state in missing.states if self._has_no_end(state) for lane in state.lanes)
        if not lost.isdisjoint(segment.lanes):
            self._waiting.remove(segment)
            self._cut_off(segment, lost)
            return True
        before = [one for one in self._chain.before(segment) if set(one.lanes) & set(missing.lanes)]
        orphans = set(missing.lanes).difference(lane for one in before for lane in one.lanes)
        before += [alone(lane, segment.start) for lane in sorted(orphans)]
        for earlier in dict.fromkeys([*before, *missing.states]):
            if earlier not in self._waiting and earlier not in self._out:
                self._restores.add(earlier)
                self._need_features([earlier])
                self._put_back((earlier,), 0.0)
        return missing.anything

    def _must_wait_for_parents(self, segment: Segment) -> bool:
        """Whether what a later stage begins from has no result yet; it is trained first, whoever asked for it."""
        parent = parent_of(segment, self._configurations) if self._configurations else None
        if parent is None:
            return False
        missing = lacking_parents(self.storage, segment, parent)
        lost = {lane.repeat for lane in missing if (lane, parent.epochs) in self._lost}
        if lost:
            self._waiting.remove(segment)
            self._cut_off(segment, [lane for lane in segment.lanes if lane.repeat in lost])
            return True
        wanted = [one for lane in missing for one in self._chain.ending(lane, parent.epochs)]
        there = {lane for one in wanted for lane in one.lanes}
        wanted += [alone(lane, parent.epochs) for lane in missing if lane not in there]
        for earlier in self._chain.with_all_before(dict.fromkeys(wanted)):
            if earlier not in self._waiting and earlier not in self._out and owed_lanes(self.storage, earlier):
                self._need_features([earlier])
                self._put_back((earlier,), 0.0)
        return bool(missing)

    def _has_no_end(self, segment: Segment) -> bool:
        """Whether the state at its end is gone for good: its parts have other ones."""
        return segment in self._without_end or parts(self.storage, segment) != (segment,)

    def _cut_off(self, segment: Segment, lost: Collection[LaneKey]) -> None:
        """What has lost some of its lanes goes on with the others, as it would after a failure of theirs."""
        left = [lane for lane in segment.lanes if lane not in lost]
        if not left:
            self._lose(segment)
            return
        smaller = segment.alone() if len(segment.configurations) > 1 else segment.in_turn()
        with contextlib.suppress(StorageError):
            divide(self.storage, segment, smaller)
        self._divided(segment, smaller)
        self._put_back(smaller, 0.0)

    def _is_owed(self, segment: Segment) -> bool:
        if segment in self._restores:
            return not is_restored(self.storage, segment)
        return bool(owed_lanes(self.storage, segment))

    def _may_go(self, segment: Segment, now: float) -> bool:
        return self._not_before.get(segment, 0.0) <= now

    def _lose(self, segment: Segment) -> None:
        """It failed for good, and what would go on from it cannot be trained."""
        if segment in self._restores:
            self._restores.discard(segment)
            self._without_end.add(segment)
        self._failed.update(owed_lanes(self.storage, segment))
        self.tally.failed = len(self._failed)
        self._lost.update((lane, segment.epochs) for lane in segment.lanes)

    def _give_up(self, segment: Segment, error: Exception) -> None:
        """Its features cannot be had: keep the cause in the study, go on with the others."""
        self._waiting.remove(segment)
        self._lose(segment)
        if error not in self.errors:
            self.errors.append(error)
        with contextlib.suppress(StorageError):
            note_failure(self.storage, segment, error, Kind.FEATURES)

    @staticmethod
    def _is_alike(one: Segment, other: Segment) -> bool:
        """Whether both are single lanes of one configuration that go equally far."""
        return len(other.lanes) == 1 and (other.partition, other.configurations, other.start, other.epochs) == (
            one.partition,
            one.configurations,
            one.start,
            one.epochs,
        )
