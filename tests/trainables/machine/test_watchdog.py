"""A process whose training does not get on ends, and says in the study where it stood."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import pytest

from orchestrator.store.leases import StaleWatch, current_lease
from orchestrator.store.parsing import parsed_json
from orchestrator.store.segments import Segment
from tests.support.checkout import ROOT
from tests.support.tiny_study import TinyStudy, make_tiny_study
from trainables.bundles.failures import failures_of
from trainables.bundles.work import owed_lanes
from trainables.machine import watchdog
from trainables.machine.watchdog import EXIT_STATUS, HangError, Watchdog, stacks_of_all_threads


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> TinyStudy:
    return make_tiny_study(tmp_path_factory.mktemp("hang"))


def trial(study: TinyStudy, lr: float, least_s: float, pace_s: float, steps: int) -> tuple[int, str, Segment]:
    """Exit status and stderr of a process of its own."""
    c = study.configuration(lr=lr)
    given = [study.folder, study.data, study.cache, study.partition, c.id, least_s, pace_s, steps]
    run = subprocess.run(
        [sys.executable, "-m", "tests.support.hanging_trial", *map(str, given)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"},
    )
    return run.returncode, run.stderr, Segment(study.partition, (c.id,), (0, 1), 0, 2)


def test_a_hang_ends_the_process_and_is_kept_with_the_stacks_of_its_threads(study: TinyStudy) -> None:
    status, err, segment = trial(study, 0.1, 2.0, 0.0, 3)
    assert status == EXIT_STATUS, err
    (failure,) = failures_of(study.storage, segment)
    assert (failure.kind, failure.repeats, failure.attempt, failure.lease) == ("hang", (0, 1), 1, 1)
    assert failure.cause.startswith("HangError: no step was finished within")
    stacks = parsed_json(study.storage.read(failure.path), failure.path)["traceback"]
    assert "waits_for_ever" in stacks
    assert "Thread MainThread" in stacks
    assert owed_lanes(study.storage, segment) == list(segment.lanes)
    assert StaleWatch().is_free(segment.folder, current_lease(study.storage, segment.folder)), "its process is gone"


def test_slow_steps_are_no_hang(study: TinyStudy) -> None:
    status, err, segment = trial(study, 0.2, 2.0, 0.3, 10**6)
    assert status == 0, err
    assert owed_lanes(study.storage, segment) == []
    assert failures_of(study.storage, segment) == []


class Bench:
    """A watchdog over a count that the test moves."""

    def __init__(self, **limits: float) -> None:
        self.steps = 0
        self.told: list[tuple[HangError, str]] = []
        self.ended = threading.Event()
        self.watchdog = Watchdog(
            lambda: self.steps, lambda error, stacks: self.told.append((error, stacks)), end=self._end, **limits
        )

    def _end(self, status: int) -> None:
        assert status == EXIT_STATUS
        self.ended.set()


class Ticks:
    """In place of the event that ends the watching: so many ticks of a clock, a step done at some of them."""

    def __init__(self, bench: Bench, monkeypatch: pytest.MonkeyPatch, count: int, steps_at: tuple[int, ...]) -> None:
        self.bench, self.count, self.steps_at = bench, count, steps_at
        self.now = 0.0
        monkeypatch.setattr(watchdog.time, "monotonic", lambda: self.now)

    def wait(self, seconds: float) -> bool:
        self.now += seconds
        self.bench.steps += round(self.now) in self.steps_at
        return self.now > self.count


def test_the_limit_grows_with_the_longest_step(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(least_s=4.0, times=5.0, tick_s=1.0)
    assert bench.watchdog.limit_s == 4.0

    def watch(count: int, *steps_at: int) -> None:
        bench.watchdog._watch(Ticks(bench, monkeypatch, count, steps_at))  # type: ignore[arg-type]

    watch(10, 3, 6, 9)
    assert bench.watchdog.limit_s == 15.0
    watch(15)
    assert not bench.ended.is_set(), "what was a long step before is none now"
    watch(16)
    assert bench.ended.is_set()


def test_time_in_which_the_watchdog_itself_was_stopped_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """As after SIGSTOP and SIGCONT: the clock has leapt, nobody had a chance to work."""
    leaps = iter([0.0, 1e6, 2e6, 3e6])
    real = time.monotonic
    bench = Bench(least_s=1.0, times=1.0, tick_s=0.01)
    monkeypatch.setattr(watchdog.time, "monotonic", lambda: next(leaps, None) or real())
    with bench.watchdog.watching():
        assert not bench.ended.wait(0.2)


def test_a_storage_that_hangs_too_does_not_keep_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdog, "NOTE_S", 0.1)
    bench = Bench(least_s=0.1, times=1.0, tick_s=0.01)
    release = threading.Event()
    bench.watchdog._on_hang = lambda error, stacks: [release.wait(), None][1]  # type: ignore[func-returns-value]
    with bench.watchdog.watching():
        bench.ended.wait()
    release.set()


def test_stacks_name_threads_and_functions() -> None:
    entered, leave = threading.Event(), threading.Event()

    def sits_here() -> None:
        entered.set()
        leave.wait()

    thread = threading.Thread(target=sits_here, name="the-idle-one")
    thread.start()
    entered.wait()
    stacks = stacks_of_all_threads()
    leave.set()
    thread.join()
    assert "Thread the-idle-one" in stacks
    assert "sits_here" in stacks
