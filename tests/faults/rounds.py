"""Rounds of one fault each: hurt a small real search, let it go on, compare with the unbroken run."""

from __future__ import annotations

import contextlib
import dataclasses
import random
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.store import layout
from orchestrator.store.schema import FinalRecord
from orchestrator.store.storage import Storage, sweep_temporaries
from tests.faults.learning import STORAGE_REFUSED, HarmedStudy, Job
from tests.faults.noting import first_step, lane_steps
from tests.faults.nursery import Child, Nursery, nursery
from tests.faults.odd_views import ClockOff, SeenLate
from tests.faults.steps import BEFORE, ERRORS, STEPS, FailInWrite, KillInWrite
from tests.faults.tally import Tally, compare
from tests.support.tiny_study import make_tiny_study


@dataclass
class World:
    """Images, an unbroken run of them, and processes to hurt."""

    folder: Path
    processes: Nursery
    unbroken: HarmedStudy
    expected: dict[tuple[str, int], FinalRecord] = field(default_factory=dict)
    rounds: int = 0

    def fresh(self, *, own_cache: bool = False, harm: Callable[[Storage], Storage] | None = None) -> Job:
        """A job on the same images without any result."""
        self.rounds += 1
        place = self.folder / f"round-{self.rounds}"
        cache = place / "cache" if own_cache else self.unbroken.cache
        study = dataclasses.replace(self.unbroken, folder=place / "study", cache=cache, harm=harm)
        for path in (layout.MANIFEST, layout.partition(study.partition)):
            study.storage.create(path, self.unbroken.storage.read(path))
        return Job(study, place / "log")

    def end(
        self,
        job: Job,
        tally: Tally,
        *,
        happened: bool = True,
        allowed: float | None = None,
        harm: Callable[[Storage], Storage] | None = None,
    ) -> None:
        """Let the study be finished without a fault (`harm`: where it lies instead of its folder), compare, clear up.

        allowed: epochs of one repeat that may be trained again.
        """
        plain = dataclasses.replace(job, fault=None, pause=0.0, study=dataclasses.replace(job.study, harm=harm))
        child = self.processes.start(plain)
        status = child.wait()
        began = first_step(job.log, child.pid)
        if began is not None:
            tally.seconds.append(began - child.started)
        if status:
            tally.remarks.append(f"the run after the fault ended with status {status}: {self.processes.complaints()}")
        repeated = (lane_steps(job.log) - job.lane_steps) / job.steps_per_epoch / len(job.repeats)
        tally.epochs.append(repeated)
        if allowed is not None and repeated > allowed:
            tally.remarks.append(f"{repeated:.2f} epochs were trained again, {allowed:g} allowed")
        compared = compare(plain.study.storage, self.expected)
        tally.add(compared, happened=happened)
        left = list(job.study.folder.rglob(".tmp-*"))
        sweep_temporaries(job.study.folder, max_age_s=-1.0)
        if any(path.exists() for path in left):
            tally.remarks.append("a temporary was not swept")
        if compared.is_equal:
            shutil.rmtree(self.folder / f"round-{self.rounds}", ignore_errors=True)


@contextlib.contextmanager
def world(folder: Path) -> Iterator[World]:
    made = make_tiny_study(folder / "unbroken")
    fields = {name.name: getattr(made, name.name) for name in dataclasses.fields(made)}
    with nursery(folder) as processes:
        found = World(folder, processes, HarmedStudy(**fields))
        job = Job(found.unbroken, folder / "unbroken" / "log")
        status = processes.start(job).wait()
        assert status == 0, processes.complaints()
        assert lane_steps(job.log) == job.lane_steps
        for settings in job.configurations:
            configuration = found.unbroken.configuration(**settings)
            for repeat, record in found.unbroken.finals(configuration, job.epochs).items():
                found.expected[configuration.id, repeat] = record
        assert len(found.expected) == len(job.configurations) * len(job.repeats)
        yield found


def killed_at_moments(world: World, count: int, seed: int) -> Tally:
    """kill -9 at random moments, twice in a row, then a run to the end; every fourth round before it trains."""
    tally, draws = Tally("kill -9 of a process that trains"), random.Random(seed)
    for number in range(count):
        job = dataclasses.replace(world.fresh(), pause=0.02)
        met = 0
        for _ in range(2):
            child = world.processes.start(job)
            if number % 4:
                wait_for_training(job, child)
            time.sleep(draws.uniform(0.0, 0.5))
            child.send(signal.SIGKILL)
            met += child.wait() == -signal.SIGKILL
        world.end(job, tally, happened=met > 0, allowed=2.01)
    return tally


def wait_for_training(job: Job, child: Child) -> None:
    """Until it has begun its first step, or has ended."""
    while child.status is None and first_step(job.log, child.pid) is None:
        child.nursery.listen(0.005)


def killed_in_writes(world: World, kind: str, occurrences: Sequence[int]) -> Tally:
    """kill -9 at every step of the write of one kind of file."""
    tally = Tally(f"kill -9 inside a write: {kind}")
    for step in STEPS[kind]:
        for occurrence in occurrences:
            job = world.fresh(own_cache=kind == "feature shard")
            job = dataclasses.replace(job, fault=KillInWrite(kind, step, occurrence), renew_every_s=0.0, pause=0.02)
            status = world.processes.start(job).wait()
            world.end(job, tally, happened=status == -signal.SIGKILL, allowed=1.01)
    return tally


def refused_writes(world: World, fault: str, every: int, limit: int) -> Tally:
    """One write of a run fails, every `every`-th of them in turn; the run stops and says so, or goes on."""
    tally = Tally(f"storage refuses a write: {fault}")
    step = "half written" if fault.startswith("short") else BEFORE[0]
    for occurrence in range(1, limit, every):
        job = dataclasses.replace(
            world.fresh(), fault=FailInWrite("any", step, ERRORS[fault], occurrence), renew_every_s=0.0, pause=0.02
        )
        status = world.processes.start(job).wait()
        if status == 0:
            world.end(job, tally, happened=False)
            break  # the run has fewer writes than that
        if status != STORAGE_REFUSED:
            tally.remarks.append(f"a refused write ended a run with status {status}: {world.processes.complaints()}")
        world.end(job, tally, allowed=1.01)
    return tally


def drivers_hurt(world: World, count: int, seed: int, drivers: int = 3) -> Tally:
    """Several drivers on one folder, killed, paused and continued at random; killed ones are started again."""
    tally, draws = Tally(f"{drivers} drivers on one folder, killed, paused, continued"), random.Random(seed)
    for _ in range(count):
        job = dataclasses.replace(world.fresh(), pause=0.02, stale_after_s=0.6, renew_every_s=0.05)
        alive = [world.processes.start(job) for _ in range(drivers)]
        met = 0
        wait_for_training(job, alive[0])
        for _ in range(draws.randint(6, 12)):
            time.sleep(draws.uniform(0.02, 0.25))
            index = draws.randrange(drivers)
            act = draws.choice((signal.SIGKILL, signal.SIGSTOP, signal.SIGCONT, signal.SIGSTOP))
            met += alive[index].status is None
            alive[index].send(act)
            if act == signal.SIGKILL:
                alive[index].wait()
                alive[index] = world.processes.start(job)
        _all_end(alive, tally)
        world.end(job, tally, happened=met > 0)
    return tally


def drivers_with_odd_views(world: World, count: int, *, clocks: bool) -> Tally:
    """Three drivers whose clocks differ by ten minutes, or who see folders as they were a while ago."""
    tally = Tally("clocks 10 minutes off, 3 drivers" if clocks else "stale directory views, 3 drivers")
    for number in range(count):
        job = dataclasses.replace(world.fresh(), pause=0.02, stale_after_s=1.0, renew_every_s=0.1)
        if clocks:
            jobs = [dataclasses.replace(job, fault=ClockOff(shift)) for shift in (-600.0, 0.0, 600.0)]
        else:
            views = [SeenLate(0.3, seed) for seed in range(3 * number, 3 * number + 3)]
            jobs = [dataclasses.replace(job, study=dataclasses.replace(job.study, harm=view)) for view in views]
        alive = [world.processes.start(each) for each in jobs]
        wait_for_training(job, alive[0])
        alive[0].send(signal.SIGKILL)
        alive[0].wait()
        _all_end(alive, tally)
        world.end(job, tally)
    return tally


def _all_end(alive: Sequence[Child], tally: Tally) -> None:
    for child in alive:
        child.send(signal.SIGCONT)
    for child in alive:
        if (status := child.wait()) not in (0, -signal.SIGKILL):
            tally.remarks.append(f"a driver ended with status {status}: {child.nursery.complaints()}")
