"""What is tried again after a failure, how often and in which company: queue and searcher, without a cluster."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from orchestrator.running.interruption import Interruption
from orchestrator.running.tune_search import OwedWork
from orchestrator.running.work_queue import Taken
from orchestrator.store.leases import Lease
from orchestrator.store.segments import Segment
from search_spaces.configuration import Configuration
from tests.support.handing_out import Counter, together
from tests.support.tiny_study import KEEPS, TinyStudy
from trainables.bundles.agreed_recipe import stored_recipe
from trainables.bundles.failures import RULES, Kind, SupersededError, failures_of, has_failed, note_failure
from trainables.bundles.segment_run import SegmentRun
from trainables.bundles.stacks import divide_into_stacks
from trainables.bundles.states import drop_states
from trainables.bundles.work import all_parts, owed_lanes
from trainables.learning.learner import Learner
from trainables.machine.watchdog import HangError

REPEATS = (0, 1)
BAD = 0.3

Report = dict[str, Any]


@dataclass
class Search:
    """Hands out, trains and reports as launcher and trial do; `widths`: how many configurations went out at a time."""

    study: TinyStudy
    segments: Sequence[Segment]
    widths: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.counter = Counter(self.study)
        self.bench, self.tally, self.queue = self.counter.bench, self.counter.tally, self.counter.queue
        stacks = divide_into_stacks(self.bench, self.segments, workers=1)
        self.whole = [segment for stack in stacks for segment in stack.segments()]
        self.counter.add(*self.whole)
        self.searcher = OwedWork(
            self.queue,
            Interruption(),
            lambda share: self.counter.workers,
            lambda seconds: False,
            lambda taken: {"taken": taken},
        )

    def run(self, train: Callable[[Segment, Lease], Report | None]) -> None:
        """Until nothing is left; `train` gives what a trial reports, None for a process that died."""
        for number in range(100):
            given = self.searcher.suggest(str(number))
            if not isinstance(given, dict):
                break
            taken: Taken = given["taken"]
            result: Report | None = {"outcome": "finished"}
            for at, (segment, over) in enumerate(zip(taken.segments, taken.over, strict=True)):
                self.widths.append(len(segment.configurations))
                lease = self.counter.lease(segment, over)
                told = train(segment, lease)
                if told is None:  # the lease of a process that is gone is free at once; here it is this one
                    result = None
                    lease.release()
                elif told != {"outcome": "finished"}:
                    result = {**told, "at": at}
                if told != {"outcome": "finished"}:
                    break
            self.searcher.on_trial_complete(str(number), result, error=result is None)
        assert self.searcher.is_done

    def learn(self, segment: Segment, lease: Lease) -> Report:
        try:
            run = SegmentRun.begin(self.bench, segment, lease, keeps=KEEPS)
            while not run.advance(60.0):
                pass
        except SupersededError:
            return {"outcome": "superseded"}
        except Exception as error:
            return {"outcome": "failed", "failure": str(run.fail(error))}
        return {"outcome": "finished"}

    def kinds(self, segment: Segment) -> list[str]:
        """Of the failures of a segment."""
        return [failure.kind for failure in failures_of(self.study.storage, segment)]


def segments_of(study: TinyStudy, rates: Sequence[float]) -> list[Segment]:
    return [together(study, [study.configuration(lr=rate)], REPEATS, 0, 2) for rate in rates]


def fail_with(monkeypatch: pytest.MonkeyPatch, error: Exception, times: int = 10**6) -> list[int]:
    """Have whatever trains the bad rate raise that, so many times; returns the numbers of configurations at a time."""
    real, seen = Learner.__init__, list[int]()

    def make(self: Learner, lanes: Sequence[Any], *rest: Any) -> None:
        configurations: set[Configuration] = {lane.configuration for lane in lanes}
        if any(c.optimiser.lr == BAD for c in configurations) and len(seen) < times:
            seen.append(len(configurations))
            raise error
        real(self, lanes, *rest)

    monkeypatch.setattr(Learner, "__init__", make)
    return seen


def test_one_that_fails_does_not_take_its_stack_with_it(study: TinyStudy, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = segments_of(study, (0.02, BAD, 0.05))
    seen = fail_with(monkeypatch, ValueError("not today"))
    search = Search(study, asked)
    (whole,) = search.whole
    search.run(search.learn)
    assert [len(owed_lanes(study.storage, one)) for one in asked] == [0, len(REPEATS), 0]
    assert (search.tally.finished, search.tally.failed) == (4, 2)
    assert seen == [3, 3, 1, 1, 1], "twice in the stack, then alone: once and two more tries"
    assert search.kinds(whole) == ["exception"] * 2, "kept once for all that it stopped"
    assert [search.kinds(one) for one in asked] == [[], ["exception"] * 3, []]
    assert all_parts(study.storage, [whole]) == asked, "whoever goes on trains them alone too"
    for one in asked:
        recipe = stored_recipe(study.storage, one)
        assert recipe is not None
        assert recipe.segment == one


def test_a_stack_that_fails_once_goes_on_as_it_was(study: TinyStudy, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a hiccup of the storage would give other last bits than an unbroken search has."""
    fail_with(monkeypatch, OSError("stale file handle"), times=1)
    search = Search(study, segments_of(study, (0.02, BAD)))
    search.run(search.learn)
    assert search.widths == [2, 2]
    assert search.tally.finished == 4
    (whole,) = search.whole
    recipe = stored_recipe(study.storage, whole)
    assert recipe is not None
    assert recipe.segment == whole
    assert all_parts(study.storage, [whole]) == [whole]


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("too much"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
        MemoryError(),
    ],
    ids=["gpu", "cpu", "python"],
)
def test_one_repeat_that_does_not_fit_is_final(
    study: TinyStudy, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    asked = segments_of(study, (BAD, 0.02))
    fail_with(monkeypatch, error)
    search = Search(study, asked)
    (whole,) = search.whole
    search.run(search.learn)
    assert [search.kinds(one) for one in (whole, asked[0], *asked[0].in_turn())] == [["memory"]] * 4
    assert (search.tally.finished, search.tally.failed) == (2, 2)


def test_what_is_trained_again_for_its_end_is_not_divided(study: TinyStudy, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its end state is one of all its lanes; results that are there are not made anew in other company."""
    asked = segments_of(study, (0.02, BAD))
    search = Search(study, asked)
    (whole,) = search.whole
    search.run(search.learn)
    drop_states(study.storage, whole)
    fail_with(monkeypatch, MemoryError())
    run = study.start(whole, restores=True)
    with pytest.raises(MemoryError, match="4 repeats at a time do not fit"):
        run.advance(60.0)
    assert all_parts(study.storage, [whole]) == [whole]


def died(search: Search, kind: Kind, with_note: bool) -> Callable[[Segment, Lease], Report | None]:
    """A process that vanishes while it has the bad rate, after it noted a hang or without a word."""

    def train(segment: Segment, lease: Lease) -> Report | None:
        if not any(search.bench.configuration(name).optimiser.lr == BAD for name in segment.configurations):
            return search.learn(segment, lease)
        if with_note:
            note_failure(search.study.storage, segment, HangError("no step"), kind, lease=lease.number, stacks="…")
        return None

    return train


def test_a_hang_is_noted_once_and_tried_once_more(study: TinyStudy) -> None:
    (bad,) = segments_of(study, (BAD,))
    search = Search(study, [bad])
    search.run(died(search, Kind.HANG, with_note=True))
    assert search.kinds(bad) == ["hang", "hang"], "not noted a second time as the death of a process"
    assert search.tally.failed == len(REPEATS)


def test_a_dead_worker_is_tried_twice_more(study: TinyStudy) -> None:
    asked = segments_of(study, (BAD, 0.02))
    search = Search(study, asked)
    search.run(died(search, Kind.WORKER, with_note=False))
    assert search.widths == [2, 2, 2, 1, 1, 1, 1]
    assert [search.kinds(one) for one in (*search.whole, *asked)] == [["worker"] * 3, ["worker"] * 3, []]
    assert (search.tally.finished, search.tally.failed) == (2, 2)


def test_an_earlier_hang_does_not_explain_a_later_death(study: TinyStudy) -> None:
    (bad,) = segments_of(study, (BAD,))
    note_failure(study.storage, bad, HangError("no step"), Kind.HANG, lease=0, stacks="…")
    search = Search(study, [bad])
    search.run(died(search, Kind.WORKER, with_note=False))
    assert search.kinds(bad) == ["hang", "worker", "worker", "worker"]


@pytest.mark.parametrize("at", [0, 1, 2])
def test_of_several_lanes_the_one_under_way_is_to_blame(study: TinyStudy, at: int) -> None:
    """A process that dies says nothing; the lease that it has not given back tells where it was."""
    lanes = together(study, [study.configuration(lr=BAD)], range(9), 0, 2).in_turn()
    counter = Counter(study)
    counter.add(*lanes)
    taken = counter.take()
    assert len(taken.segments) > at
    for segment in taken.segments[:at]:
        study.train_segment(segment)
    held = counter.lease(taken.segments[at], 0)
    counter.queue.ended(taken, "died")
    held.release()
    noted = {segment: [failure.kind for failure in failures_of(study.storage, segment)] for segment in lanes}
    assert {segment for segment, kinds in noted.items() if kinds} == {taken.segments[at]}
    assert noted[taken.segments[at]] == ["worker"]
    assert set(counter.queue.waiting) == set(lanes[at:])


def test_what_ended_before_it_said_anything_is_no_failure(study: TinyStudy) -> None:
    """As a trial that an interruption ends before its first report."""
    (bad,) = segments_of(study, (BAD,))
    search = Search(study, [bad])

    def interrupted(segment: Segment, lease: Lease) -> Report:
        search.searcher.interruption = SimpleNamespace(is_raised=True)  # type: ignore[assignment]
        return {}

    search.run(interrupted)
    assert (search.tally.failed, search.kinds(bad)) == (0, [])


def test_every_kind_has_its_rule() -> None:
    assert set(RULES) == set(Kind)
    assert (RULES[Kind.EXCEPTION].retries, RULES[Kind.HANG].retries, RULES[Kind.WORKER].retries) == (2, 1, 2)


def test_a_torn_note_is_no_reason_to_stop(study: TinyStudy) -> None:
    (bad,) = segments_of(study, (BAD,))
    study.storage.create(bad.failure(1), b"{")
    search = Search(study, [bad])
    search.run(died(search, Kind.WORKER, with_note=False))
    assert search.tally.failed == len(REPEATS)
    assert has_failed(study.storage, bad)


def test_as_many_go_out_as_the_cluster_has_room_for(study: TinyStudy) -> None:
    configurations = [study.configuration(non_linearities=1, dropout=share) for share in (0.1, 0.2)]
    search = Search(study, [together(study, [one], REPEATS, 0, 2) for one in configurations])
    assert isinstance(search.searcher.suggest("first"), dict)
    assert search.searcher.suggest("second") is None
    search.counter.workers = 2
    assert isinstance(search.searcher.suggest("third"), dict)
    search.counter.workers = 1
    assert search.searcher.suggest("fourth") is None


def test_what_stopped_although_no_signal_came_goes_out_again(study: TinyStudy) -> None:
    asked = segments_of(study, (0.02,))
    search = Search(study, asked)
    assert isinstance(search.searcher.suggest("first"), dict)
    search.searcher.on_trial_complete("first", {"outcome": "stopped"})
    assert search.queue.waiting == tuple(asked)
    assert (search.tally.finished, search.tally.failed) == (0, 0)
