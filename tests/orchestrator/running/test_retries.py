"""What is tried again after a failure, how often and in which company: queue and searcher, without a cluster."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from orchestrator.running.interruption import Interruption
from orchestrator.running.tally import Tally
from orchestrator.running.tune_search import OwedWork
from orchestrator.running.work_queue import WorkQueue
from orchestrator.store.layout import ConfigurationKey
from orchestrator.store.leases import Lease
from search_spaces.configuration import Configuration
from tests.support.tiny_study import TinyStudy, make_tiny_study
from trainables.bundles.bundle import BundleRun
from trainables.bundles.failures import RULES, Kind, SupersededError, failures_of, has_failed, note_failure
from trainables.bundles.stacks import Stack, form_stacks
from trainables.bundles.stored_recipes import stored_recipe
from trainables.bundles.work import Work, owed_repeats
from trainables.learning.learner import Learner
from trainables.machine.watchdog import HangError

REPEATS = (0, 1)
BAD = 0.3


class Ready:
    """A feature stage where everything is there."""

    def error(self, of: ConfigurationKey) -> None: ...

    def is_ready(self, of: ConfigurationKey) -> bool:
        return True


@dataclass
class Search:
    """Hands out, trains and reports as launcher and trial do; `widths` are those of the stacks in their order."""

    study: TinyStudy
    works: Sequence[Work]
    widths: list[int] = field(default_factory=list)

    room: int = 1

    def __post_init__(self) -> None:
        self.bench = self.study.bench()
        self.tally = Tally(len(self.works))
        together = partial(form_stacks, self.bench, self.works, workers=self.room)
        self.queue = WorkQueue(self.study.storage, self.works, together, Ready(), self.tally)
        self.searcher = OwedWork(
            self.queue,
            Interruption(),
            lambda share: self.room,
            lambda: None,
            lambda taken: {"stack": taken.stack, "over": taken.over},
        )

    def run(self, train: Callable[[Stack, list[Lease]], dict[str, Any] | None]) -> None:
        """Until nothing is left; `train` gives what a trial reports, None for a process that died."""
        for number in range(100):
            given = self.searcher.suggest(str(number))
            if not isinstance(given, dict):
                break
            stack: Stack = given["stack"]
            self.widths.append(len(stack))
            taken = [Lease.take(self.study.storage, w.key, n, "cpu") for w, n in zip(stack, given["over"], strict=True)]
            leases = [lease for lease in taken if lease is not None]
            assert len(leases) == len(stack)
            result = train(stack, leases)
            if result is None:  # the leases of a process that is gone are free at once; here it is this one
                for lease in leases:
                    lease.release({}, 0)
            self.searcher.on_trial_complete(str(number), result, error=result is None)
        assert self.searcher.is_done

    def learn(self, stack: Stack, leases: list[Lease]) -> dict[str, Any]:
        run = BundleRun.begin(self.bench, stack, leases)
        try:
            while not run.advance(60.0):
                pass
        except SupersededError:
            return {"outcome": "superseded"}
        except Exception as error:
            return {"outcome": "failed", "failure": str(run.fail(error))}
        return {"outcome": "finished"}

    def kinds(self, work: Work) -> list[str]:
        return [failure.kind for failure in failures_of(self.study.storage, work.key)]


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> TinyStudy:
    return make_tiny_study(tmp_path_factory.mktemp("retries"))


@pytest.fixture
def study(images: TinyStudy, tmp_path: Path) -> TinyStudy:
    other = TinyStudy(tmp_path / "s", images.data, images.cache, images.classes, images.partition, images.fingerprint)
    for path in ("dataset/manifest.parquet", f"partitions/{images.partition}.parquet"):
        other.storage.create(path, images.storage.read(path))
    return other


def works_of(study: TinyStudy, rates: Sequence[float]) -> list[Work]:
    return [Work(study.key(study.configuration(lr=lr)), REPEATS, 2) for lr in rates]


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
    works = works_of(study, (0.02, BAD, 0.05))
    seen = fail_with(monkeypatch, ValueError("not today"))
    search = Search(study, works)
    search.run(search.learn)
    bad = works[1]
    assert [owed_repeats(study.storage, work) for work in works] == [[], list(REPEATS), []]
    assert (search.tally.finished, search.tally.failed) == (2, 1)
    assert seen == [3, 3, 1, 1, 1], "twice in the stack, then alone: once and two more tries"
    assert search.kinds(bad) == ["exception"] * 5
    assert search.kinds(works[0]) == ["exception"] * 2, "kept with each bundle that it stopped"
    for work in works:
        recipe = stored_recipe(study.storage, work.key)
        assert recipe is not None
        assert recipe.with_bundles == ()


def test_a_stack_that_fails_once_goes_on_as_it_was(study: TinyStudy, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a hiccup of the storage would give other last bits than an unbroken search has."""
    works = works_of(study, (0.02, BAD))
    fail_with(monkeypatch, OSError("stale file handle"), times=1)
    search = Search(study, works)
    search.run(search.learn)
    assert search.widths == [2, 2]
    assert search.tally.finished == 2
    recipe = stored_recipe(study.storage, works[0].key)
    assert recipe is not None
    assert len(recipe.with_bundles) == 2


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
    works = works_of(study, (BAD, 0.02))
    fail_with(monkeypatch, error)
    search = Search(study, works)
    search.run(search.learn)
    assert search.kinds(works[0]) == ["memory"] * 3, "two bundles, one bundle, one repeat"
    assert (search.tally.finished, search.tally.failed) == (1, 1)


def died(search: Search, kind: Kind, with_note: bool) -> Callable[[Stack, list[Lease]], dict[str, Any] | None]:
    """A process that vanishes while it has the bad rate, after it noted a hang or without a word."""

    def train(stack: Stack, leases: list[Lease]) -> dict[str, Any] | None:
        if not any(search.bench.configuration(work.key.configuration).optimiser.lr == BAD for work in stack):
            return search.learn(stack, leases)
        for work, lease in zip(stack, leases, strict=True):
            if with_note:
                error = HangError("no step")
                note_failure(search.study.storage, work.key, error, kind, work.repeats, lease=lease.number, stacks="…")
        return None

    return train


def test_a_hang_is_noted_once_and_tried_once_more(study: TinyStudy) -> None:
    works = works_of(study, (BAD,))
    search = Search(study, works)
    search.run(died(search, Kind.HANG, with_note=True))
    assert search.kinds(works[0]) == ["hang", "hang"], "not noted a second time as the death of a process"
    assert search.tally.failed == 1


def test_a_dead_worker_is_tried_twice_more(study: TinyStudy) -> None:
    works = works_of(study, (BAD, 0.02))
    search = Search(study, works)
    search.run(died(search, Kind.WORKER, with_note=False))
    assert search.widths == [2, 2, 2, 1, 1, 1, 1]
    assert search.kinds(works[0]) == ["worker"] * 6
    assert (search.tally.finished, search.tally.failed) == (1, 1)


def test_an_earlier_hang_does_not_explain_a_later_death(study: TinyStudy) -> None:
    works = works_of(study, (BAD,))
    note_failure(study.storage, works[0].key, HangError("no step"), Kind.HANG, REPEATS, lease=0, stacks="…")
    search = Search(study, works)
    search.run(died(search, Kind.WORKER, with_note=False))
    assert search.kinds(works[0]) == ["hang", "worker", "worker", "worker"]


def test_what_ended_before_it_said_anything_is_no_failure(study: TinyStudy) -> None:
    """As a trial that an interruption ends before its first report."""
    works = works_of(study, (BAD,))
    search = Search(study, works)

    def interrupted(stack: Stack, leases: list[Lease]) -> dict[str, Any]:
        search.searcher.interruption = SimpleNamespace(is_raised=True)
        return {}

    search.run(interrupted)
    assert (search.tally.failed, search.kinds(works[0])) == (0, [])


def test_every_kind_has_its_rule() -> None:
    assert set(RULES) == set(Kind)
    assert (RULES[Kind.EXCEPTION].retries, RULES[Kind.HANG].retries, RULES[Kind.WORKER].retries) == (2, 1, 2)


def test_a_torn_note_is_no_reason_to_stop(study: TinyStudy) -> None:
    works = works_of(study, (BAD,))
    study.storage.create(works[0].key.failure(1), b"{")
    search = Search(study, works)
    search.run(died(search, Kind.WORKER, with_note=False))
    assert search.tally.failed == 1
    assert has_failed(study.storage, works[0].key)


def test_as_many_go_out_as_the_cluster_has_room_for(study: TinyStudy) -> None:
    search = Search(
        study,
        [Work(study.key(study.configuration(non_linearities=1, dropout=share)), REPEATS, 2) for share in (0.1, 0.2)],
    )
    assert isinstance(search.searcher.suggest("first"), dict)
    assert search.searcher.suggest("second") is None
    search.room = 2
    assert isinstance(search.searcher.suggest("third"), dict)
    search.room = 1
    assert search.searcher.suggest("fourth") is None


def test_what_stopped_although_no_signal_came_goes_out_again(study: TinyStudy) -> None:
    works = works_of(study, (0.02,))
    search = Search(study, works)
    assert isinstance(search.searcher.suggest("first"), dict)
    search.searcher.on_trial_complete("first", {"outcome": "stopped"})
    assert search.queue.waiting == ((works[0],),)
    assert (search.tally.finished, search.tally.failed) == (0, 0)
