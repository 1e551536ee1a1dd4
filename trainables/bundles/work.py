"""What of a segment is still owed, and what it goes on as where it was divided. No torch: the command line asks too."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence

from orchestrator.store.concurrently import concurrently
from orchestrator.store.errors import DamagedRecordError
from orchestrator.store.layout import BundleKey, FinalName, parse_final
from orchestrator.store.schema import parse_toml
from orchestrator.store.segments import SEGMENTS, Divided, LaneKey, Segment
from orchestrator.store.storage import Storage


def longest_finals(storage: Storage, bundle: BundleKey) -> dict[int, FinalName]:
    """Of each repeat the final record with most epochs, as in the histories; of two with the same number, which only
    processes that computed differently can leave, the first in the listing: the one with all its epochs."""
    longest: dict[int, FinalName] = {}
    for name in storage.list(bundle.finals):
        final = parse_final(name)
        if final is not None and (final.repeat not in longest or final.epochs > longest[final.repeat].epochs):
            longest[final.repeat] = final
    return longest


def is_enough(final: FinalName | None, epochs: int) -> bool:
    """Whether a repeat with this longest record owes nothing: it has so many epochs, or ended by itself, and more would
    end there again."""
    return final is not None and (final.state.ended_by_itself() or final.epochs >= epochs)


class Finals:
    """The longest final records of bundles as they lie there now, each bundle listed once."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self._there: dict[BundleKey, dict[int, FinalName]] = {}

    def look(self, bundles: Iterable[BundleKey]) -> None:
        """List several at a time, where that takes long."""
        unseen = [bundle for bundle in dict.fromkeys(bundles) if bundle not in self._there]
        longest = concurrently(lambda bundle: longest_finals(self.storage, bundle), unseen)
        self._there.update(zip(unseen, longest, strict=True))

    def are_enough(self, lane: LaneKey, epochs: int) -> bool:
        self.look([lane.bundle])
        return is_enough(self._there[lane.bundle].get(lane.repeat), epochs)

    def owed(self, segment: Segment) -> list[LaneKey]:
        """Its lanes without a result that is enough."""
        return [lane for lane in segment.lanes if not self.are_enough(lane, segment.epochs)]


def owed_lanes(storage: Storage, segment: Segment) -> list[LaneKey]:
    """Lanes without a result that is enough."""
    return Finals(storage).owed(segment)


def parts(storage: Storage, segment: Segment) -> tuple[Segment, ...]:
    """The segments that this one goes on as; itself where it was not divided."""
    with contextlib.suppress(FileNotFoundError, DamagedRecordError):
        divided = parse_toml(Divided, storage.read(segment.divided), segment.divided)
        if _is_division(segment, divided.parts):
            return tuple(smaller for part in divided.parts for smaller in parts(storage, part))
    return (segment,)


def _is_division(segment: Segment, into: Sequence[Segment]) -> bool:
    """Whether these are the segment's own lanes in several parts; one that names itself would never end."""
    if len(into) < 2 or sum(len(part.configurations) * len(part.repeats) for part in into) != len(segment.lanes):
        return False
    ends = segment.start, segment.epochs
    alike = all(part.lanes and (part.start, part.epochs) == ends for part in into)
    return alike and {lane for part in into for lane in part.lanes} == set(segment.lanes)


def divide(storage: Storage, segment: Segment, into: Sequence[Segment]) -> None:
    """Have a segment go on as smaller ones, from where it began; the first who says so decides."""
    content = Divided(parts=tuple(into)).to_toml()
    if not storage.create(segment.divided, content) and parts(storage, segment) == (segment,):
        storage.replace(segment.divided, content)  # a torn one


def parts_of(storage: Storage, segments: Sequence[Segment]) -> list[tuple[Segment, ...]]:
    """`parts` of each; only folders that exist are looked into."""
    begun = set(storage.list(SEGMENTS))
    return concurrently(lambda one: parts(storage, one) if one.id in begun else (one,), segments)


def all_parts(storage: Storage, segments: Iterable[Segment]) -> list[Segment]:
    """Those that the segments go on as, in order."""
    return [part for smaller in parts_of(storage, list(segments)) for part in smaller]
