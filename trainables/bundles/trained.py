"""The weights of a finished repeat at its selected epoch: read where they are kept, else trained again from the seed.

Only the segment is trained again in which that epoch lies, from the states that it began from; where these are gone,
the segments before it too, in memory. Training the same lanes under the stored recipe gives the same bits on the same
kind of device; the logits of the valid images, which the final record holds, show whether it did.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from orchestrator.store.errors import DamagedRecordError, InputError
from orchestrator.store.layout import BundleKey, FinalName, parse_final
from orchestrator.store.schema import FinalRecord, RepeatState
from orchestrator.store.segments import LaneKey, Recipe, Segment, recipe_of
from orchestrator.store.storage import Storage
from trainables.bundles import kept_weights, states
from trainables.bundles.parents import final_at, parent_lanes, parent_of, results_at
from trainables.bundles.states import Origin
from trainables.bundles.workbench import Workbench
from trainables.learning.group import Group
from trainables.learning.group_state import GroupState
from trainables.learning.learner import lanes_of
from trainables.learning.material import Start, begin_group

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Trained:
    """One repeat at its selected epoch.

    weights: see `Weights`. deviation: the largest difference between its logits of the valid images and those of the
    final record; 0.0 says that it is the same model bit for bit.
    """

    repeat: int
    epoch: int
    weights: dict[str, np.ndarray]
    deviation: float
    was_kept: bool

    @property
    def is_same(self) -> bool:
        return self.deviation == 0.0


@dataclass(frozen=True)
class Again:
    """What is about to be trained again: so many repeats, in so many epochs of those that are trained together.

    seconds: what that took before, on `devices`.
    """

    repeats: int
    epochs: int
    seconds: float
    devices: tuple[str, ...]


def trained(
    bench: Workbench,
    partition: str,
    configuration: str,
    repeats: Sequence[int],
    epochs: int | None = None,
    progress: Progress | None = None,
    before: Callable[[Again], None] | None = None,
) -> dict[int, Trained]:
    """Several repeats of one configuration, those that were trained together in one go.

    progress(done, total) counts epochs that are trained again; `before` is told first, where any are. Raises InputError
    where a repeat has no result.
    """
    records = results(bench.storage, partition, configuration, repeats, epochs)
    return trained_as(bench, partition, configuration, records, progress, before)


def trained_as(
    bench: Workbench,
    partition: str,
    configuration: str,
    records: Mapping[int, FinalRecord],
    progress: Progress | None = None,
    before: Callable[[Again], None] | None = None,
) -> dict[int, Trained]:
    """Several repeats of one configuration as these final records, by repeat, say that they were."""
    trained: dict[int, Trained] = {}
    again: dict[str, tuple[Recipe, list[int]]] = {}
    for repeat, record in records.items():
        kept = _kept(bench.storage, partition, configuration, repeat, record)
        if kept is not None:
            trained[repeat] = kept
        else:
            recipe = _recipe_at_selected(bench.storage, LaneKey(partition, configuration, repeat), record)
            again.setdefault(recipe.segment.id, (recipe, []))[1].append(repeat)
    total = sum(max(_selected(records[repeat]) for repeat in together) for _, together in again.values())
    done = 0
    if again and before is not None:
        owed = [records[repeat] for _, together in again.values() for repeat in together]
        seconds = sum(_seconds(recipe, [records[repeat] for repeat in together]) for recipe, together in again.values())
        before(Again(len(owed), total, seconds, tuple(dict.fromkeys(str(one.meta["device"]) for one in owed))))
    if again and progress is not None:
        progress(0, total)
    for recipe, together in again.values():
        for one in _train_again(bench, recipe, [records[repeat] for repeat in together], done, total, progress):
            trained[one.repeat] = one
        done += max(_selected(records[repeat]) for repeat in together)
    return {repeat: trained[repeat] for repeat in records}


def results(
    storage: Storage, partition: str, configuration: str, repeats: Sequence[int], epochs: int | None = None
) -> dict[int, FinalRecord]:
    """The final records of these repeats, by repeat number: all with the same number of epochs, the largest that all
    have (or the one given). One that ended by itself counts whatever was asked of it: more would end there too.

    Raises InputError that names the repeats without one.
    """
    there = {repeat: _finals(storage, partition, configuration, repeat) for repeat in repeats}
    whole = [set(finals) for finals in there.values() if finals and not finals[max(finals)].state.ended_by_itself()]
    common = set.intersection(*whole) if whole else {0}
    wanted = max(common, default=None) if epochs is None else epochs
    records = {}
    for repeat, finals in there.items():
        final = finals.get(-1 if wanted is None else wanted)
        longest = finals[max(finals)] if finals else None
        if longest and (longest.state is RepeatState.DIVERGED or (final is None and longest.state.ended_by_itself())):
            final = longest
        if final is not None:
            path = BundleKey.of_repeat(partition, configuration, repeat).final(*final)
            records[repeat] = FinalRecord.from_bytes(storage.read(path), path)
    lacking = [str(repeat) for repeat in repeats if repeat not in records]
    if lacking:
        asked = "" if epochs is None else f" with {epochs} epochs"
        raise InputError(
            f"configuration {configuration}: expected a result{asked} of repeats {', '.join(map(str, repeats))}, "
            f"found none of {', '.join(lacking)}",
            "Train what is missing: orch resume STUDY",
        )
    return records


def starts_of(bench: Workbench, segment: Segment) -> list[Start]:
    """What each lane of a segment begins with that is the first of a later stage; nothing for any other.

    Where the weights of the parent are not kept they are trained again, with all its repeats that were trained
    together, and kept as far as there is room, so that the other repeats of the stage find them. Raises InputError
    where the parent has no result.
    """
    parent = parent_of(segment, bench.configuration)
    if parent is None:
        return []
    storage, lanes = bench.storage, parent_lanes(segment, parent)
    wanted = results_at(storage, lanes, parent.epochs)
    records = {**wanted, **_beside(storage, lanes, wanted, parent.epochs)}
    trained = trained_as(bench, segment.partition, parent.configuration, records)
    keep_in_room(bench, lanes[0], records, trained.values())
    repeats = (lane.repeat for lane in segment.lanes)
    return [
        Start(trained[one].weights, wanted[one].state is RepeatState.DIVERGED, trained[one].is_same) for one in repeats
    ]


def _beside(
    storage: Storage, lanes: Sequence[LaneKey], records: Mapping[int, FinalRecord], epochs: int
) -> dict[int, FinalRecord]:
    """Results of the parent's other repeats that are trained anyway where those of these lanes are trained again."""
    again = [
        lane
        for lane in lanes
        if _kept(storage, lane.partition, lane.configuration, lane.repeat, records[lane.repeat]) is None
    ]
    segments = {_recipe_at_selected(storage, lane, records[lane.repeat]).segment for lane in again}
    others = {one for segment in segments for one in segment.lanes if one.configuration == lanes[0].configuration}
    there = tuple(one for one in sorted(others.difference(lanes)) if final_at(storage, one, epochs) is not None)
    return results_at(storage, there, epochs) if there else {}


def keep_in_room(
    bench: Workbench, lane: LaneKey, records: Mapping[int, FinalRecord], several: Iterable[Trained]
) -> None:
    """Store weights that were trained again of the lane's configuration, as far as the study has room beside what it
    keeps; records: of each repeat."""
    room = kept_weights.DEFAULT_BUDGET_BYTES - sum(
        one.bytes for one in kept_weights.in_partition(bench.storage, lane.partition)
    )
    for one in several:
        size = sum(values.nbytes for values in one.weights.values())
        if not one.was_kept and size <= room:
            keep_trained(bench, lane.partition, lane.configuration, [one], int(records[one.repeat].meta["epochs"]))
            room -= size


def open_group(bench: Workbench, recipe: Recipe) -> Group:
    """The lanes of a segment at its start. Segments before it, and parents of a stage, are trained again where the
    states or the weights there are not kept."""
    segment = recipe.segment
    before = (
        states.beginnings(bench.storage, segment, bench.device.type, partial(_end_state, bench))
        if segment.start > 0
        else []
    )
    starts = starts_of(bench, segment)
    torch.set_num_threads(recipe.threads)
    lanes = lanes_of([bench.configuration(name) for name in segment.configurations], segment.repeats)
    material = bench.material(lanes[0].configuration, segment.partition, recipe.frontier)
    group = begin_group(material, lanes, recipe.scoring_batch, segment.epochs, bench.device, starts)
    if segment.start > 0:
        group.go_on_from(segment.start, [lane.state for lane in before])
    return group


def keep_trained(bench: Workbench, partition: str, configuration: str, several: Iterable[Trained], epochs: int) -> None:
    """Store weights that were trained again beside the final records; those that are kept already stay as they are."""
    for one in several:
        if not one.was_kept:
            key = BundleKey.of_repeat(partition, configuration, one.repeat)
            meta = {"epoch": one.epoch, "deviation": one.deviation}
            kept_weights.keep(bench.storage, key, one.repeat, epochs, one.weights, meta)


def _finals(storage: Storage, partition: str, configuration: str, repeat: int) -> dict[int, FinalName]:
    """The final records by number of epochs; one with all its epochs goes before one that ended by itself."""
    key = BundleKey.of_repeat(partition, configuration, repeat)
    finals: dict[int, FinalName] = {}
    for name in storage.list(key.finals):
        parsed = parse_final(name)
        if parsed is not None and parsed.repeat == repeat:
            finals.setdefault(parsed.epochs, parsed)
    return finals


def _selected(record: FinalRecord) -> int:
    return int(record.meta["selected_epoch"])


def _kept(storage: Storage, partition: str, configuration: str, repeat: int, record: FinalRecord) -> Trained | None:
    key = BundleKey.of_repeat(partition, configuration, repeat)
    kept = kept_weights.read_kept(storage, key, repeat, int(record.meta["epochs"]))
    if kept is None or kept.meta.get("epoch") != _selected(record):
        return None
    return Trained(repeat, _selected(record), kept.weights, float(str(kept.meta["deviation"])), was_kept=True)


def _seconds(recipe: Recipe, records: Sequence[FinalRecord]) -> float:
    """What all lanes of a segment took, up to the last epoch that one of these records of it selected."""
    each = np.mean([float(record.meta["seconds"]) / max(1, int(record.meta["epochs"])) for record in records])
    return float(each) * len(recipe.segment.lanes) * max(map(_selected, records))


def _recipe_at_selected(storage: Storage, lane: LaneKey, record: FinalRecord) -> Recipe:
    """Of the segment in which the selected epoch lies; at its very start, too, where the state is what it began from.

    Raises InputError where a record on the way is gone.
    """
    recipe = recipe_of(record, f"the result of repeat {lane.repeat} of {lane.configuration}")
    while recipe.segment.start > _selected(record):
        path = lane.bundle.final(lane.repeat, recipe.segment.start)
        try:
            content = storage.read(path)
        except FileNotFoundError:
            raise InputError(
                f"configuration {lane.configuration}: expected the result with {recipe.segment.start} epochs of repeat "
                f"{lane.repeat}, from which it went on, found none",
                "Train what is missing: orch resume STUDY",
            ) from None
        recipe = recipe_of(FinalRecord.from_bytes(content, path), path)
    if lane not in recipe.segment.lanes:
        raise DamagedRecordError(
            f"repeat {lane.repeat} of {lane.configuration} is not in the segment that its final record names"
        )
    return recipe


def _end_state(bench: Workbench, origin: Origin) -> GroupState:
    """Of a segment that is trained again in memory."""
    group = open_group(bench, origin.recipe)
    group.advance(math.inf)
    return group.snapshot({})


def _train_again(
    bench: Workbench,
    recipe: Recipe,
    records: Sequence[FinalRecord],
    done: int,
    total: int,
    progress: Progress | None,
) -> list[Trained]:
    """Train the lanes of a segment, which these records are of, up to the last epoch that one of them selected."""
    group = open_group(bench, recipe)
    trained = []
    for epoch in sorted({_selected(record) for record in records}):
        while group.epoch < epoch and not group.is_done:
            group.advance(0.0)
            if progress is not None:
                progress(done + group.epoch, total)
        here = [record for record in records if _selected(record) == epoch]
        weights = [group.learner.weights_of(_lane_of(record, group)) for record in here]
        if not group.is_scored:
            group.advance(0.0)
        trained += [
            Trained(int(record.meta["repeat"]), epoch, each, _deviation(group, record), was_kept=False)
            for record, each in zip(here, weights, strict=True)
        ]
    return trained


def _lane_of(record: FinalRecord, group: Group) -> int:
    own = str(record.meta["configuration"]), int(record.meta["repeat"])
    return [(lane.configuration.id, lane.repeat) for lane in group.lanes].index(own)


def _deviation(group: Group, record: FinalRecord) -> float:
    """Largest difference of the logits; infinite where another epoch would be selected this time."""
    epoch, logits = group.selected(_lane_of(record, group))
    if epoch != _selected(record):
        return math.inf
    return float(np.abs(logits.astype(np.float64) - record.logits.astype(np.float64)).max(initial=0.0))
