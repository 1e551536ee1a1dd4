"""What is still to be trained: segments of decisions minus final records, with all that they go on from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Container, Iterable

from orchestrator.results.decided import Decided
from orchestrator.store.layout import ConfigurationKey
from orchestrator.store.searches import asked_of_lanes
from orchestrator.store.segments import LaneKey, Segment
from orchestrator.store.storage import Storage
from trainables.bundles.work import Finals, all_parts


class Chain:
    """Which segments end where others begin; knows every segment of a study, whichever search asked for it."""

    def __init__(self) -> None:
        self._ending: dict[tuple[LaneKey, int], dict[Segment, None]] = defaultdict(dict)
        self._divided: set[Segment] = set()

    def add(self, segments: Iterable[Segment]) -> None:
        for segment in segments:
            if segment in self._divided:
                continue
            for lane in segment.lanes:
                self._ending[lane, segment.epochs][segment] = None

    def divide(self, segment: Segment, smaller: Iterable[Segment]) -> None:
        """Its parts in its place, from now on."""
        self._divided.add(segment)
        for lane in segment.lanes:
            self._ending[lane, segment.epochs].pop(segment, None)
        self.add(smaller)

    def ending(self, lane: LaneKey, epochs: int) -> list[Segment]:
        """Those that give a lane so many epochs."""
        return list(self._ending.get((lane, epochs), ()))

    def before(self, segment: Segment) -> list[Segment]:
        """Those that give its lanes the epochs that it begins from; none where it begins from nothing."""
        if not segment.start:
            return []
        earlier = (one for lane in segment.lanes for one in self._ending.get((lane, segment.start), ()))
        return list(dict.fromkeys(earlier))

    def with_all_before(self, segments: Iterable[Segment]) -> list[Segment]:
        """The segments, each after those that it goes on from."""
        ordered: dict[Segment, None] = {}
        for segment in segments:
            for earlier in self.with_all_before(self.before(segment)):
                ordered[earlier] = None
            ordered[segment] = None
        return list(ordered)


def serving(decided: Decided, searches: Collection[str], keys: Container[ConfigurationKey]) -> list[Segment]:
    """What is trained for these searches' lanes of these configurations and of what was made from them, whichever
    search had it divided, in order.

    Of several that would do for a lane it is the shortest.
    """
    asked = asked_of_lanes(decided.every(searches))
    every, best = decided.segments(), dict[LaneKey, Segment]()
    for segment in every:
        for lane in segment.lanes:
            if segment.epochs >= asked.get(lane, segment.epochs + 1) and (
                lane not in best or segment.epochs < best[lane].epochs
            ):
                best[lane] = segment
    bases = decided.bases(*searches)
    asked = {
        lane: epochs
        for lane, epochs in asked.items()
        if ConfigurationKey(lane.partition, bases.get(lane.configuration, lane.configuration)) in keys
    }
    wanted = {best[lane] for lane in asked if lane in best}
    return [
        *(segment for segment in every if segment in wanted),
        *(alone(lane, epochs) for lane, epochs in asked.items() if lane not in best),
    ]


def alone(lane: LaneKey, epochs: int) -> Segment:
    """One lane from its beginning: for what no decision has divided, because a result was there when it was made or the
    decision is lost."""
    return Segment(lane.partition, (lane.configuration,), (lane.repeat,), 0, epochs)


def owed(storage: Storage, segments: Iterable[Segment]) -> list[Segment]:
    """Those with at least one lane that lacks a result; where one was divided, its parts."""
    every, finals = all_parts(storage, segments), Finals(storage)
    finals.look(bundle for segment in every for bundle in segment.bundles)
    return [segment for segment in every if finals.owed(segment)]
