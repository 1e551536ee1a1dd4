"""What goes on in the segments that still owe something: who works there, how far, what failed.

Each folder is looked into once, however many repeats of however many configurations are trained in it; segments that
nobody began, and those whose lanes are done, are not looked into at all.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from orchestrator.store import layout
from orchestrator.store.concurrently import concurrently
from orchestrator.store.damage import passed_over
from orchestrator.store.errors import DamagedRecordError
from orchestrator.store.layout import parse_attempt, parse_lease
from orchestrator.store.leases import LeaseView
from orchestrator.store.parsing import json_object
from orchestrator.store.segments import SEGMENTS, LaneKey, Segment
from orchestrator.store.storage import Storage
from trainables.bundles.failures import Failure, failures_of
from trainables.bundles.work import parts

SILENT_AFTER_S = 600.0
"""A lease that was last renewed longer ago than this is not shown as running. Shown only: nothing is decided by it."""


@dataclass(frozen=True)
class AtWork:
    """A segment that somebody began and that still owes something."""

    segment: Segment
    lanes: tuple[LaneKey, ...]
    """Those that are owed."""
    epoch: int = 0
    """How far they are, as its newest lease says."""
    is_leased: bool = False
    """Whether somebody holds it who is not known to be gone, silent or not."""
    is_live: bool = False
    """Whether it is leased and its owner was heard of lately."""
    host: str = ""
    device: str = ""
    heard: str = ""
    """When the lease was renewed last; UTC, ISO 8601."""
    failure: Failure | None = None
    """The last one, where nobody has tried again: no lease lives, and no attempt began after the one that failed."""


@dataclass(frozen=True)
class SegmentsAtWork:
    """All of a study."""

    all: tuple[AtWork, ...]
    of_lane: Mapping[LaneKey, Sequence[AtWork]]


@dataclass(frozen=True)
class Begun:
    """folders: names of the files in each that was not divided. divided: what the others go on as."""

    folders: Mapping[Segment, Sequence[str]]
    divided: Mapping[Segment, tuple[Segment, ...]]


def begun(storage: Storage, segments: Sequence[Segment]) -> Begun:
    """Of these segments, and of what they go on as, those that have a folder."""
    folders: dict[Segment, Sequence[str]] = {}
    divided: dict[Segment, tuple[Segment, ...]] = {}
    there = set(storage.list(SEGMENTS)) if segments else set()
    left = [segment for segment in segments if segment.id in there]
    while left:
        names = concurrently(lambda segment: storage.list(segment.folder), left)
        smaller: list[Segment] = []
        for segment, listed in zip(left, names, strict=True):
            is_divided = segment.divided.removeprefix(f"{segment.folder}/") in listed
            goes_on = parts(storage, segment) if is_divided else (segment,)
            if goes_on == (segment,):
                folders[segment] = listed
            else:
                divided[segment] = goes_on
                smaller += [part for part in goes_on if part.id in there]
        left = smaller
    return Begun(folders, divided)


def segments_at_work(
    storage: Storage, segments: Iterable[Segment], owed: Mapping[LaneKey, int], now: datetime
) -> SegmentsAtWork:
    """owed: of each lane that is owed the epochs that it has. `now` decides only which leases look alive."""
    at_work: list[AtWork] = []
    for segment, names in begun(storage, [segment for segment in segments if _owed_of(segment, owed)]).folders.items():
        lanes = _owed_of(segment, owed)
        at_work += [_looked_into(storage, segment, names, lanes, now)] if lanes else []
    of_lane: dict[LaneKey, list[AtWork]] = defaultdict(list)
    for one in at_work:
        for lane in one.lanes:
            of_lane[lane].append(one)
    return SegmentsAtWork(tuple(at_work), of_lane)


def _owed_of(segment: Segment, owed: Mapping[LaneKey, int]) -> tuple[LaneKey, ...]:
    return tuple(lane for lane in segment.lanes if owed.get(lane, segment.epochs) < segment.epochs)


def _looked_into(
    storage: Storage, segment: Segment, names: Collection[str], owed: tuple[LaneKey, ...], now: datetime
) -> AtWork:
    lease = _newest_lease(storage, segment, names)
    epoch = lease.get("epoch", 0)
    is_leased = bool(lease) and not lease.get("released") and not LeaseView(0, lease).owner_is_dead()
    is_live = is_leased and _age_s(lease, now) < SILENT_AFTER_S
    failure = None
    if not is_live:
        newest = max((attempt for name in names if (attempt := parse_attempt(name)) is not None), default=0)
        failure = next(
            (one for one in reversed(failures_of(storage, segment, sorted(names))) if one.attempt >= newest), None
        )
    host, device, heard = (str(lease.get(name, "")) for name in ("host", "device", "updated"))
    return AtWork(segment, owed, epoch, is_leased, is_live, host, device, heard, failure)


def _newest_lease(storage: Storage, segment: Segment, names: Iterable[str]) -> dict[str, Any]:
    """Empty where there is none."""
    numbers = [number for name in names if (number := parse_lease(name)) is not None]
    if not numbers:
        return {}
    path = layout.lease(segment.folder, max(numbers))
    with passed_over(storage, path):
        lease = json_object(storage.read(path), path)
        if not isinstance(lease.get("epoch", 0), int):
            raise DamagedRecordError(f"{path} is not a whole lease: its epoch is {lease['epoch']!r:.40}")
        return lease
    return {}


def _age_s(lease: Mapping[str, Any], now: datetime) -> float:
    try:
        updated = datetime.fromisoformat(str(lease.get("updated")))
    except ValueError:
        return math.inf
    if (updated.tzinfo is None) != (now.tzinfo is None):
        updated = updated.replace(tzinfo=now.tzinfo)
    return (now - updated).total_seconds()
