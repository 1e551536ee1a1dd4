"""A bundle that does not fit into memory goes on one repeat at a time, or fails and can be tried again."""

from __future__ import annotations

import gc
import json
import weakref
from collections.abc import Sequence
from typing import Any

import pytest
import torch

from orchestrator.store.leases import current_lease
from tests.support.tiny_study import TinyStudy
from trainables.bundles.failures import Kind
from trainables.learning.group import Group
from trainables.learning.learner import Learner

REPEATS = (0, 1, 3)


def test_out_of_memory_goes_on_with_one_repeat_at_a_time(study: TinyStudy, monkeypatch: pytest.MonkeyPatch) -> None:
    c = study.configuration(lr=0.3)
    real = Learner.train

    def train(self: Learner, rows: torch.Tensor, epoch: int, first: int) -> None:
        if len(rows) > 1:
            raise torch.OutOfMemoryError("too much")
        real(self, rows, epoch, first)

    monkeypatch.setattr(Learner, "train", train)
    finals = study.train(c, REPEATS, 2)
    assert sorted(finals) == list(REPEATS)
    assert all(final.meta["recipe"]["stacked"] is False for final in finals.values())
    note = json.loads(study.storage.read(study.key(c).failure(1)))
    assert (note["kind"], note["attempt"]) == ("memory", 1)
    assert "3 repeats at a time" in note["cause"]


def test_out_of_memory_while_a_group_is_made_goes_on_with_one_repeat_at_a_time(
    study: TinyStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    c = study.configuration(lr=0.3)
    real = Learner.__init__

    def make(self: Learner, lanes: Sequence[Any], *rest: Any) -> None:
        if len(lanes) > 1:
            raise torch.OutOfMemoryError("too much")
        real(self, lanes, *rest)

    monkeypatch.setattr(Learner, "__init__", make)
    finals = study.train(c, REPEATS, 2)
    assert sorted(finals) == list(REPEATS)
    assert all(final.meta["recipe"]["stacked"] is False for final in finals.values())
    assert "3 repeats at a time" in json.loads(study.storage.read(study.key(c).failure(1)))["cause"]


def test_out_of_memory_while_a_group_is_restored(study: TinyStudy, monkeypatch: pytest.MonkeyPatch) -> None:
    c = study.configuration(lr=0.3)
    run = study.start(c, REPEATS, 4)
    for _ in range(9):
        run.advance(0.0)
    run.stop()
    real = Group.load

    def load(self: Group, *arguments: Any) -> Any:
        if len(self.lanes) > 1:
            raise torch.OutOfMemoryError("too much")
        return real(self, *arguments)

    monkeypatch.setattr(Group, "load", load)
    finals = study.train(c, REPEATS, 4)
    assert sorted(finals) == list(REPEATS)
    assert all(final.meta["recipe"]["stacked"] is False for final in finals.values())


def test_what_did_not_fit_is_let_go_of_before_going_on(study: TinyStudy, monkeypatch: pytest.MonkeyPatch) -> None:
    """The memory is given back to the device only when nothing holds the group any more, not even the error."""
    c = study.configuration(lr=0.3)
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
    assert sorted(study.train(c, REPEATS, 1)) == list(REPEATS)
    assert left == [0]


def test_one_repeat_that_does_not_fit_is_a_failure(study: TinyStudy, monkeypatch: pytest.MonkeyPatch) -> None:
    c = study.configuration(lr=0.3)

    def train(*_: Any) -> None:
        raise torch.OutOfMemoryError("too much")

    monkeypatch.setattr(Learner, "train", train)
    run = study.start(c, REPEATS, 2)
    with pytest.raises(MemoryError) as raised:
        run.advance(60.0)
    assert run.fail(raised.value) is Kind.MEMORY
    failures = [name for name in study.storage.list(study.key(c).folder) if name.startswith("failure-")]
    assert len(failures) == 2
    lease = current_lease(study.storage, study.key(c))
    assert lease is not None
    assert lease.is_released
    monkeypatch.undo()
    assert sorted(study.train(c, REPEATS, 2)) == list(REPEATS), "it can be tried again"
