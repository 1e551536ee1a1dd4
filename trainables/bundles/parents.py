"""Results that repeats of a later stage begin from. No torch: the driver asks too.

A repeat begins from the same repeat of its parent, on the same partition, as it was with so many epochs: more that are
asked of the parent later change nothing.
"""

from __future__ import annotations

from collections.abc import Callable

from orchestrator.store.errors import InputError
from orchestrator.store.layout import FinalName, parse_final
from orchestrator.store.schema import FinalRecord
from orchestrator.store.segments import LaneKey, Segment
from orchestrator.store.storage import Storage
from search_spaces.configuration import Configuration, Parent

Configurations = Callable[[str], Configuration]
"""By id."""


def parent_of(segment: Segment, configurations: Configurations) -> Parent | None:
    """What all lanes of a segment begin from; None where they begin from nothing, or from a segment before it."""
    return None if segment.start else configurations(segment.configurations[0]).begins_from


def parent_lanes(segment: Segment, parent: Parent) -> tuple[LaneKey, ...]:
    """Of the parent, one for each repeat of the segment."""
    return tuple(LaneKey(segment.partition, parent.configuration, repeat) for repeat in segment.repeats)


def final_at(storage: Storage, lane: LaneKey, epochs: int) -> FinalName | None:
    """The record of a repeat with exactly so many epochs, else of one that ended by itself before; None for neither."""
    there = [final for name in storage.list(lane.bundle.finals) if (final := parse_final(name)) is not None]
    mine = sorted((one for one in there if one.repeat == lane.repeat and one.epochs <= epochs), key=_by_epochs)
    return mine[-1] if mine and (mine[-1].epochs == epochs or mine[-1].state.ended_by_itself()) else None


def lacking_parents(storage: Storage, segment: Segment, parent: Parent) -> list[LaneKey]:
    """Lanes of the parent that have no result yet from which lanes of the segment could begin."""
    return [lane for lane in parent_lanes(segment, parent) if final_at(storage, lane, parent.epochs) is None]


def results_at(storage: Storage, lanes: tuple[LaneKey, ...], epochs: int) -> dict[int, FinalRecord]:
    """The final records of a parent's lanes, by repeat. Raises InputError that names the repeats without one."""
    finals = {lane: final_at(storage, lane, epochs) for lane in lanes}
    missing = [str(lane.repeat) for lane, final in finals.items() if final is None]
    if missing:
        raise InputError(
            f"configuration {lanes[0].configuration}: expected a result with {epochs} epochs of repeats "
            f"{', '.join(missing)}, from which a later stage begins, found none",
            "Train what is missing: orch resume STUDY",
        )
    paths = {lane.repeat: lane.bundle.final(*final) for lane, final in finals.items() if final is not None}
    return {repeat: FinalRecord.from_bytes(storage.read(path), path) for repeat, path in paths.items()}


def _by_epochs(final: FinalName) -> tuple[int, bool]:
    """One with all its epochs goes before one that ended by itself."""
    return final.epochs, not final.state.ended_by_itself()
