"""A segment that does not fit into memory goes on as halves, at last lane by lane, or fails and can be tried again."""

from __future__ import annotations

import gc
import json
import weakref
from collections.abc import Sequence
from typing import Any

import pytest
import torch

from orchestrator.store.leases import Lease, current_lease
from orchestrator.store.segments import Segment
from tests.support.tiny_study import TinyStudy
from trainables.bundles.failures import Kind, SupersededError, failures_of
from trainables.bundles.segment_run import SegmentRun
from trainables.bundles.states import is_restored
from trainables.bundles.work import all_parts, divide, owed_lanes
from trainables.learning.group import Group
from trainables.learning.learner import Learner

REPEATS = (0, 1, 3)


def of(study: TinyStudy, *rates: float, epochs: int = 2) -> Segment:
    names = tuple(study.configuration(lr=lr).id for lr in rates)
    return Segment(study.partition, names, REPEATS, 0, epochs)


def test_out_of_memory_goes_on_with_one_repeat_at_a_time(study: TinyStudy, monkeypatch: pytest.MonkeyPatch) -> None:
    segment = of(study, 0.3)
    real = Learner.train

    def train(self: Learner, rows: torch.Tensor, epoch: int, first: int) -> None:
        if len(rows) > 1:
            raise torch.OutOfMemoryError("too much")
        real(self, rows, epoch, first)

    monkeypatch.setattr(Learner, "train", train)
    run = study.start(segment)
    with pytest.raises(SupersededError, match=f"segment {segment} did not fit in memory; it goes on in parts"):
        run.advance(60.0)
    assert all_parts(study.storage, [segment]) == list(segment.in_turn())
    lease = current_lease(study.storage, segment.folder)
    assert lease is not None
    assert lease.is_released
    for part in segment.in_turn():
        study.train_segment(part)
    assert owed_lanes(study.storage, segment) == []
    note = json.loads(study.storage.read(segment.failure(1)))
    assert (note["kind"], note["attempt"], note["lease"]) == ("memory", 1, 1)
    assert (note["partition"], note["configurations"], note["repeats"]) == (
        segment.partition,
        list(segment.configurations),
        list(segment.repeats),
    )
    assert "3 repeats at a time" in note["cause"]


def test_out_of_memory_halves_the_stack(study: TinyStudy, monkeypatch: pytest.MonkeyPatch) -> None:
    segment = of(study, 0.01, 0.02, 0.03, 0.04, 0.05)
    real, widths = Learner.train, []

    def step(self: Learner, *arguments: Any) -> None:
        widths.append(self.configurations)
        if self.configurations > 2:
            raise torch.OutOfMemoryError("too much")
        real(self, *arguments)

    monkeypatch.setattr(Learner, "train", step)
    study.train_segment(segment)
    assert list(dict.fromkeys(widths)) == [5, 3, 2, 1], "five; three and two; of the three two and one"
    assert owed_lanes(study.storage, segment) == []
    assert [len(part.configurations) for part in all_parts(study.storage, [segment])] == [2, 1, 2]
    assert [len(failures_of(study.storage, part)) for part in (segment, *segment.halves())] == [1, 1, 0]


def test_out_of_memory_while_a_group_is_made(study: TinyStudy, monkeypatch: pytest.MonkeyPatch) -> None:
    segment = of(study, 0.3)
    real = Learner.__init__

    def make(self: Learner, lanes: Sequence[Any], *rest: Any) -> None:
        if len(lanes) > 1:
            raise torch.OutOfMemoryError("too much")
        real(self, lanes, *rest)

    monkeypatch.setattr(Learner, "__init__", make)
    study.train_segment(segment)
    assert all_parts(study.storage, [segment]) == list(segment.in_turn())
    assert owed_lanes(study.storage, segment) == []


def test_out_of_memory_while_a_group_is_taken_up(study: TinyStudy, monkeypatch: pytest.MonkeyPatch) -> None:
    segment = of(study, 0.3, epochs=4)
    run = study.start(segment)
    for _ in range(9):
        run.advance(0.0)
    run.stop()
    real = Group.load

    def load(self: Group, *arguments: Any) -> Any:
        if len(self.lanes) > 1:
            raise torch.OutOfMemoryError("too much")
        return real(self, *arguments)

    monkeypatch.setattr(Group, "load", load)
    study.train_segment(segment)
    assert owed_lanes(study.storage, segment) == []


def test_what_did_not_fit_is_let_go_of_before_going_on(study: TinyStudy, monkeypatch: pytest.MonkeyPatch) -> None:
    """The memory is given back to the device only when nothing holds the group any more, not even the error."""
    groups: list[weakref.ref[Group]] = []
    left: list[int] = []

    def advance(self: Group, seconds: float) -> None:
        groups.append(weakref.ref(self))
        raise torch.OutOfMemoryError("too much")

    def emptied() -> None:
        gc.collect()
        left.append(sum(group() is not None for group in groups))
        monkeypatch.undo()

    monkeypatch.setattr(Group, "advance", advance)
    monkeypatch.setattr(torch.cuda, "empty_cache", emptied)
    study.train_segment(of(study, 0.3, epochs=1))
    assert left == [0]


def test_one_lane_that_does_not_fit_is_a_failure(study: TinyStudy, monkeypatch: pytest.MonkeyPatch) -> None:
    segment = of(study, 0.3).in_turn()[0]

    def train(*_: Any) -> None:
        raise torch.OutOfMemoryError("too much")

    monkeypatch.setattr(Learner, "train", train)
    run = study.start(segment)
    with pytest.raises(MemoryError) as raised:
        run.advance(60.0)
    assert run.fail(raised.value) is Kind.MEMORY
    assert [failure.kind for failure in failures_of(study.storage, segment)] == ["memory"]
    lease = current_lease(study.storage, segment.folder)
    assert lease is not None
    assert lease.is_released
    monkeypatch.undo()
    study.train_segment(segment)
    assert owed_lanes(study.storage, segment) == [], "it can be tried again"


def test_what_goes_on_in_parts_is_not_begun(study: TinyStudy) -> None:
    segment = of(study, 0.1, 0.2)
    divide(study.storage, segment, segment.alone())
    divide(study.storage, segment, segment.in_turn())
    assert all_parts(study.storage, [segment]) == list(segment.alone()), "the first who says so decides"
    lease = Lease.take(study.storage, segment.folder, 0)
    assert lease is not None
    with pytest.raises(SupersededError, match="goes on in parts"):
        SegmentRun.begin(study.bench(), segment, lease)
    current = current_lease(study.storage, segment.folder)
    assert current is not None
    assert current.is_released
    study.train_segment(segment, restores=True)
    assert is_restored(study.storage, segment), "records may name it, of a process that woke up late"


def test_what_is_trained_for_its_end_state_is_not_divided(study: TinyStudy, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its records name the whole."""
    segment = of(study, 0.1, 0.2)
    study.train_segment(segment, keeps=0)
    monkeypatch.setattr(Group, "advance", lambda *_: (_ for _ in ()).throw(torch.OutOfMemoryError("too much")))
    run = study.start(segment, restores=True)
    with pytest.raises(MemoryError, match="6 repeats at a time"):
        run.advance(60.0)
    assert all_parts(study.storage, [segment]) == [segment]
