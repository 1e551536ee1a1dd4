"""States at the ends of segments: what later segments begin from, which of them are gone, and which nobody needs. No
torch: the driver asks too.

One file holds all lanes of a segment. It is created before the final records, which name its digest; where it was too
large to keep, or its lanes have gone on since, training the segment again gives the same bits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from orchestrator.store.concurrently import concurrently
from orchestrator.store.errors import DamagedRecordError
from orchestrator.store.layout import damaged
from orchestrator.store.schema import FinalRecord, RepeatState
from orchestrator.store.segments import LaneKey, Recipe, Segment, StateName, parse_state, recipe_of
from orchestrator.store.storage import Storage
from trainables.bundles.failures import SupersededError
from trainables.bundles.work import is_enough, longest_finals, owed_lanes
from trainables.learning.group_state import GroupState, LaneState


class Origin(NamedTuple):
    """Where a lane was trained before, as its final record there says."""

    recipe: Recipe
    digest: str
    """Of the state that it had."""
    mixed: bool
    """Whether that was trained on several kinds of devices, or began from a state that was not its own."""

    @property
    def segment(self) -> Segment:
        return self.recipe.segment


class Beginning(NamedTuple):
    """How a lane begins; state: None where it had ended before. mixed: it goes on otherwise than it was begun."""

    state: LaneState | None
    mixed: bool


class _Place(NamedTuple):
    segment: Segment
    digest: str


class _Stored(NamedTuple):
    state: GroupState
    is_same: bool
    """As the one that was asked for."""


@dataclass(frozen=True)
class Lacking:
    """What has to be trained before a segment can begin.

    lanes: those without a record of exactly the epochs at which it starts, which did not end by themselves. states: the
    segments of those with one, whose end states are not kept.
    """

    lanes: tuple[LaneKey, ...] = ()
    states: tuple[Segment, ...] = ()

    @property
    def anything(self) -> bool:
        return bool(self.lanes or self.states)


def stored_states(storage: Storage, segment: Segment) -> list[StateName]:
    """Those of its end; several where it was trained again with other bits."""
    return [state for name in storage.list(segment.folder) if (state := parse_state(name)) is not None]


def keep_state(storage: Storage, segment: Segment, digest: str, content: bytes) -> None:
    """Keep the state at a segment's end, if that one is not kept yet."""
    if digest[:16] not in [stored.digest for stored in stored_states(storage, segment)]:
        storage.create(segment.state(digest, len(content)), content)


def read_state(storage: Storage, segment: Segment, digest: str = "") -> GroupState | None:
    """The state at a segment's end, preferably the one with this digest; None where none is kept.

    A damaged one is deleted.
    """
    for stored in sorted(stored_states(storage, segment), key=lambda name: (name.digest != digest[:16], name)):
        path = segment.state(stored.digest, stored.bytes)
        try:
            return GroupState.from_bytes(storage.read(path), path)
        except FileNotFoundError:
            continue
        except DamagedRecordError:
            storage.delete(path)
    return None


def drop_states(storage: Storage, segment: Segment) -> None:
    """Delete what is kept of a segment's end."""
    for stored in stored_states(storage, segment):
        storage.delete(segment.state(stored.digest, stored.bytes))


def origins(storage: Storage, segment: Segment) -> dict[LaneKey, Origin]:
    """Of the lanes that have a final record with exactly the epochs at which the segment starts."""
    per_lane = concurrently(lambda lane: _origin(storage, lane, segment.start), segment.lanes)
    return {lane: origin for lane, origin in zip(segment.lanes, per_lane, strict=True) if origin is not None}


def lacking(storage: Storage, segment: Segment) -> Lacking:
    """Nothing where it starts from epoch 0."""
    if segment.start == 0:
        return Lacking()
    before, ended = origins(storage, segment), _ended(storage, segment)
    lanes = tuple(lane for lane in segment.lanes if lane not in before and lane not in ended)
    needed = dict.fromkeys(origin.segment for origin in before.values())
    return Lacking(lanes, tuple(one for one in needed if not stored_states(storage, one)))


def beginnings(
    storage: Storage,
    segment: Segment,
    device: str,
    otherwise: Callable[[Origin], GroupState | None] = lambda _: None,
) -> list[Beginning]:
    """How each lane of a segment that starts later than epoch 0 begins, in order.

    device: the kind that goes on. otherwise: gives states that are not kept. Raises SupersededError where something is
    lacking, DamagedRecordError where a state has not the lanes that its segment says.
    """
    before, ended = origins(storage, segment), _ended(storage, segment)
    states: dict[_Place, _Stored] = {}
    starts = []
    for lane in segment.lanes:
        origin = before.get(lane)
        if origin is None and lane in ended:
            starts.append(Beginning(None, mixed=False))
            continue
        if origin is None:
            raise SupersededError(f"segment {segment}: repeat {lane.repeat} is not trained up to epoch {segment.start}")
        place = _Place(origin.segment, origin.digest)
        if place not in states:
            state = read_state(storage, *place) or otherwise(origin)
            if state is None:
                raise SupersededError(f"segment {segment}: the state at epoch {segment.start} is not kept")
            states[place] = _Stored(state, state.digest() == origin.digest)
        state, is_same = states[place]
        own = state.lane(lane.configuration, lane.repeat)
        if own is None:
            raise DamagedRecordError(f"{state.name} lacks repeat {lane.repeat} of {lane.configuration}")
        starts.append(Beginning(own, origin.mixed or origin.recipe.device != device or not is_same))
    return starts


def is_over(storage: Storage, segment: Segment, *, restores: bool = False) -> bool:
    """Whether nothing of a segment is left to train; restores: not for the state at its end either."""
    return is_restored(storage, segment) if restores else not owed_lanes(storage, segment)


def is_restored(storage: Storage, segment: Segment) -> bool:
    """Whether the state at a segment's end is kept, and every lane has its record there, or ended by itself."""
    if not stored_states(storage, segment):
        return False
    names = {bundle: set(storage.list(bundle.finals)) for bundle in segment.bundles}
    ended = _ended(storage, segment)
    return all(
        lane in ended or segment.final(lane, RepeatState.FINISHED).rpartition("/")[2] in names[lane.bundle]
        for lane in segment.lanes
    )


def drop_superseded(storage: Storage, segment: Segment) -> None:
    """Delete the states that a finished segment began from, where all their lanes have gone on or ended."""
    for before in dict.fromkeys(origin.segment for origin in origins(storage, segment).values()):
        there = {bundle: longest_finals(storage, bundle) for bundle in before.bundles}
        longest = [there[lane.bundle].get(lane.repeat) for lane in before.lanes]
        if all(is_enough(one, before.epochs + 1) for one in longest):
            drop_states(storage, before)


def _origin(storage: Storage, lane: LaneKey, epochs: int) -> Origin | None:
    """A damaged record is set aside, also one that the histories hold, so that it is owed again."""
    path = lane.bundle.final(lane.repeat, epochs)
    try:
        record = FinalRecord.from_bytes(storage.read(path), path)
        return Origin(
            recipe_of(record, path), str(record.meta.get("end_state")), bool(record.meta.get("devices_mixed"))
        )
    except FileNotFoundError:
        return None
    except DamagedRecordError:
        storage.rename(path, damaged(path))
        return None


def _ended(storage: Storage, segment: Segment) -> set[LaneKey]:
    """Lanes whose longest record ended by itself."""
    there = {bundle: longest_finals(storage, bundle) for bundle in segment.bundles}
    longest = {lane: there[lane.bundle].get(lane.repeat) for lane in segment.lanes}
    return {lane for lane, final in longest.items() if final is not None and final.state.ended_by_itself()}
