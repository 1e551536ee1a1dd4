"""Rounds of one fault each: hurt a small real search, let it go on, compare with the unbroken run."""

from __future__ import annotations

import contextlib
import dataclasses
import random
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.store import layout
from orchestrator.store.segments import SEGMENTS, parse_state
from orchestrator.store.storage import LocalStorage, Storage, sweep_temporaries
from tests.faults.lanes import ADAPTIVE, LANES, PLAIN
from tests.faults.learning import COMMANDS, STORAGE_REFUSED, Command, HarmedStudy, Job
from tests.faults.noting import first_step, steps_noted
from tests.faults.nursery import Child, Nursery, nursery
from tests.faults.odd_views import Settling
from tests.faults.steps import EMPTY, ERRORS, HALF, STEPS, CountWrites, FailInWrite, KillAtStep, KillInWrite, Place
from tests.faults.tally import Compared, Results, Tally, compare
from tests.support.tiny_study import make_tiny_study

TWO_REPEATS = (Command(2, 2), Command(2, 4))


def lose_states(folder: Path) -> None:
    """What the next segments begin from: in turn deleted, cut short, and with a flipped bit."""
    paths = [path for path in sorted(folder.glob(f"{SEGMENTS}/*/*")) if parse_state(path.name)]
    assert paths
    for number, path in enumerate(paths):
        content = bytearray(path.read_bytes())
        if number % 3 == 0:
            path.unlink()
        elif number % 3 == 1:
            path.write_bytes(content[: len(content) // 2])
        else:
            content[-1] ^= 1
            path.write_bytes(content)


def damage_records(folder: Path) -> None:
    """Of every bundle one record that the histories have taken in, and that others go on from."""
    for finals in sorted(folder.glob("bundles/*/*/*/final")):
        path = min(finals.iterdir())
        path.write_bytes(path.read_bytes()[:-1])


@dataclass(frozen=True)
class Plan:
    """What the processes of a round find, and what they are told.

    begun: whether the first command was obeyed before. prepare: what was done to that study since.
    """

    name: str
    commands: tuple[Command, ...] = COMMANDS
    begun: bool = False
    prepare: Callable[[Path], None] | None = None
    most_lanes: int | None = None
    lanes: str = PLAIN
    harm: Callable[[Storage], Storage] | None = None
    """Where the study lies in place of its folder."""

    @property
    def allowed(self) -> float:
        """Epochs of a segment that one kill may cost."""
        return LANES[self.lanes].costs_epochs + 0.01


WHOLE = Plan("from nothing")
BEGINNING = Plan("the first command alone", COMMANDS[:1])
GOING_ON = Plan("going on", COMMANDS[1:], begun=True)
RESTORING = Plan("states lost", COMMANDS[1:], begun=True, prepare=lose_states)
DIVIDED = Plan("divided", COMMANDS[1:], begun=True, most_lanes=3)
RECORDS_DAMAGED = Plan("records damaged", COMMANDS[1:], begun=True, prepare=damage_records)
STAGED = Plan("stages", TWO_REPEATS, lanes="a stage of bodies")
HALVING_AND_RACE = Plan("halving and race", (Command(6, 2), Command(8, 2)), lanes=ADAPTIVE)
SETTLED = dataclasses.replace(HALVING_AND_RACE, name="claims that settle", harm=Settling(late_s=0.0, settle_s=0.02))
PLANS = (WHOLE, GOING_ON, RESTORING, DIVIDED, RECORDS_DAMAGED)

WRITES: dict[Plan, tuple[str, ...]] = {
    WHOLE: (
        "search",
        "budget",
        "lease on deciding",
        "lease on deciding renewed",
        "decision",
        "study file",
        "feature shard",
        "recipe",
        "attempt",
        "lease",
        "lease renewed",
        "checkpoint",
        "state",
        "history",
        "checkpoint deleted",
        "compacted history",
    ),
    GOING_ON: (
        "budget",
        "decision",
        "recipe",
        "attempt",
        "lease",
        "checkpoint",
        "state",
        "history",
        "checkpoint deleted",
        "state deleted",
    ),
    RESTORING: ("lease", "lease deleted", "attempt", "checkpoint", "state", "checkpoint deleted", "state deleted"),
    RECORDS_DAMAGED: ("history",),
    STAGED: ("kept weights", "checkpoint", "state"),
    HALVING_AND_RACE: (
        "search",
        "budget",
        "lease on deciding",
        "lease on deciding renewed",
        "lease on deciding deleted",
        "decision",
    ),
    SETTLED: ("claim of a decision", "claim of a decision deleted", "decision settled"),
    DIVIDED: ("failure", "division", "recipe", "attempt", "state", "history", "state deleted"),
}
"""Kinds of files whose writes are killed."""


@dataclass(frozen=True)
class Unbroken:
    """A study that nobody touched: what it came to, its training steps, and how often each step of a write came."""

    folder: Path
    results: Results
    steps: int
    writes: Counter[Place]


@dataclass
class World:
    """Images, unbroken runs of them, and processes to hurt."""

    folder: Path
    processes: Nursery
    images: HarmedStudy
    begun: Path
    """A study in which the first command was obeyed."""
    rounds: int = 0
    _unbroken: dict[Plan, Unbroken] = field(default_factory=dict)

    def fresh(
        self,
        plan: Plan = WHOLE,
        *,
        own_cache: bool = False,
        harm: Callable[[Storage], Storage] | None = None,
    ) -> Job:
        """A job on the same images, as the plan says."""
        self.rounds += 1
        place = self.folder / f"round-{self.rounds}"
        cache = place / "cache" if own_cache else self.images.cache
        study = dataclasses.replace(self.images, folder=place / "study", cache=cache, harm=harm or plan.harm)
        if plan.begun:
            shutil.copytree(self.begun, study.folder)
        for path in (layout.MANIFEST, layout.partition(study.partition)):
            study.storage.create(path, self.images.storage.read(path))
        if plan.prepare:
            plan.prepare(study.folder)
        return Job(study, place / "log", plan.commands, plan.lanes, most_lanes=plan.most_lanes)

    def unbroken(self, plan: Plan = WHOLE) -> Unbroken:
        """Run once."""
        if plan not in self._unbroken:
            job = self.fresh(plan)
            job.log.mkdir()
            counted = CountWrites(job.log / "writes")
            status = self.processes.start(dataclasses.replace(job, fault=counted, renew_every_s=0.0)).wait()
            assert status == 0, self.processes.complaints()
            results = Results.of(job.study.storage)
            assert set(results.asked) <= set(results.finals)
            self._unbroken[plan] = Unbroken(job.study.folder, results, steps_noted(job.log), counted.counts())
        return self._unbroken[plan]

    def end(
        self,
        job: Job,
        tally: Tally,
        plan: Plan = WHOLE,
        *,
        happened: bool = True,
        allowed: float | None = None,
        harm: Callable[[Storage], Storage] | None = None,
        comparing: Callable[[Storage, Results], Compared] = compare,
    ) -> None:
        """Let the study be finished without a fault (`harm`: where it lies in place of the plan's), compare, clear up.

        allowed: epochs of a segment that may be trained again.
        """
        study = dataclasses.replace(job.study, harm=harm or plan.harm)
        plain = dataclasses.replace(job, fault=None, pause=0.0, study=study)
        child = self.processes.start(plain)
        status = child.wait()
        began = first_step(job.log, child.pid)
        if began is not None:
            tally.seconds.append(began - child.started)
        if status:
            tally.remarks.append(f"the run after the fault ended with status {status}: {self.processes.complaints()}")
        expected = self.unbroken(plan)
        repeated = (steps_noted(job.log) - expected.steps) / LANES[plan.lanes].epoch_steps
        tally.epochs.append(repeated)
        if allowed is not None and repeated > allowed:
            tally.remarks.append(f"{repeated:.2f} epochs were trained again, {allowed:g} allowed")
        compared = comparing(plain.study.storage, expected.results)
        tally.add(compared, happened=happened)
        left = list(job.study.folder.rglob(".tmp-*"))
        sweep_temporaries(job.study.folder, max_age_s=-1.0)
        if any(path.exists() for path in left):
            tally.remarks.append("a temporary was not swept")
        if compared.is_equal:
            shutil.rmtree(job.study.folder.parent, ignore_errors=True)


@contextlib.contextmanager
def world(folder: Path) -> Iterator[World]:
    made = make_tiny_study(folder / "images", border=3)  # which some lanes cut off
    fields = {name.name: getattr(made, name.name) for name in dataclasses.fields(made)}
    with nursery(folder) as processes:
        found = World(folder, processes, HarmedStudy(**fields), folder / "begun")
        expected = found.unbroken()
        first = dataclasses.replace(found.fresh(), commands=COMMANDS[:1])
        assert processes.start(first).wait() == 0, processes.complaints()
        first.study.folder.rename(found.begun)
        for plan in (GOING_ON, RESTORING, RECORDS_DAMAGED):
            assert compare(LocalStorage(found.unbroken(plan).folder), expected.results).is_equal
        yield found


def killed_at_moments(world: World, count: int, seed: int) -> Tally:
    """kill -9 at random moments, twice in a row, then a run to the end; every fifth round before it trains."""
    tally, draws = Tally("kill -9 of a process that trains"), random.Random(seed)
    for number in range(count):
        plan = PLANS[number % len(PLANS)]
        job = dataclasses.replace(world.fresh(plan), pause=0.02)
        met = 0
        for _ in range(2):
            child = world.processes.start(job)
            if number % 5:
                wait_for_training(job, child)
            time.sleep(draws.uniform(0.0, 0.8))
            child.send(signal.SIGKILL)
            met += child.wait() == -signal.SIGKILL
        world.end(job, tally, plan, happened=met > 0, allowed=2.01)
    return tally


def killed_at_steps(world: World, lanes: str, most: int) -> Tally:
    """kill -9 right after a training step, at so many of them, as far apart as they can be."""
    plan = HALVING_AND_RACE if lanes == ADAPTIVE else Plan(lanes, TWO_REPEATS, lanes=lanes)
    tally = Tally(f"kill -9 after a step: {lanes}")
    for step in spread(world.unbroken(plan).steps, most):
        job = world.fresh(plan)
        status = world.processes.start(dataclasses.replace(job, fault=KillAtStep(job.log, step))).wait()
        world.end(job, tally, plan, happened=status == -signal.SIGKILL, allowed=plan.allowed)
    return tally


def wait_for_training(job: Job, child: Child) -> None:
    """Until it has begun its first step, or has ended."""
    while child.status is None and first_step(job.log, child.pid) is None:
        child.nursery.listen(0.005)


def killed_in_writes(world: World, plan: Plan, kind: str, most: int) -> Tally:
    """kill -9 at every step of the write of one kind of file, at so many of those writes: the first, the last and some
    between."""
    tally = Tally(f"kill -9 inside a write, {plan.name}: {kind}")
    for step in STEPS[kind]:
        for occurrence in spread(world.unbroken(plan).writes[Place(kind, step)], most):
            job, fault = world.fresh(plan, own_cache=kind == "feature shard"), KillInWrite(kind, step, occurrence)
            job = dataclasses.replace(job, fault=fault, renew_every_s=0.0, pause=0.02)
            status = world.processes.start(job).wait()
            world.end(job, tally, plan, happened=status == -signal.SIGKILL, allowed=plan.allowed)
    return tally


def spread(count: int, most: int) -> list[int]:
    """At most so many of the numbers 1 … count, as far apart as they can be; of one alone the last."""
    if count <= most:
        return list(range(1, count + 1))
    return [count] if most == 1 else sorted({1 + round(i * (count - 1) / (most - 1)) for i in range(most)})


def refused_writes(world: World, fault: str, every: int, limit: int) -> Tally:
    """One write of a run fails, every `every`-th of them in turn; the run stops and says so, or goes on."""
    tally = Tally(f"storage refuses a write: {fault}")
    step = HALF if fault.startswith("short") else EMPTY
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
