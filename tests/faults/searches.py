"""The whole `orch search` with Ray, in processes of its own that can be hurt; where one lies and how it is run."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from orchestrator.store.storage import LocalStorage
from tests.faults.noting import steps_noted, trainers
from tests.faults.tally import Results, Tally, compare
from tests.support.checkout import ROOT
from tests.support.tiny_study import make_tiny_study

ORCH = (sys.executable, "-c", "from orchestrator.command_line import main; main()")
NAME = "tiny"
ASKED = f"{NAME} timm:test_resnet.r160_in1k --weights none --strategy straightforward,unfreezing --unfrozen 1"
GRID = "--lr 0.01,0.02 --batch-size 4 --repeats 2 --epochs 3"
BUNDLES, REPEATS, EPOCHS = 4, 2, 3
AT_ONCE = 4.01
"""Epochs of a bundle that may be lost with everything: two heads in one stack on each of two workers."""
PATIENCE_S = 1200.0
GONE_WITHIN_S = 90.0


@dataclass(frozen=True)
class Place:
    """One search: what it writes, and where Ray has its temporary files (a short name: sockets lie in it)."""

    folder: Path
    data: Path
    cache: Path
    pause: float = 0.12

    @property
    def studies(self) -> Path:
        return self.folder / "studies"

    @property
    def storage(self) -> LocalStorage:
        return LocalStorage(self.studies / NAME)

    @property
    def log(self) -> Path:
        return self.folder / "log"

    @property
    def temporary(self) -> Path:
        return self.folder / "t"

    def search(self) -> list[str]:
        where = ["--data", str(self.data), "--studies", str(self.studies), "--cache", str(self.cache)]
        return [*ORCH, "search", *ASKED.split(), *GRID.split(), *where]

    def environment(self) -> dict[str, str]:
        """What the search and, through its Ray, its workers are told; they run at the driver's own priority."""
        paths = [str(ROOT / "tests" / "faults" / "noted"), *filter(None, [os.environ.get("PYTHONPATH")])]
        return {
            **os.environ,
            "NOTED_LOG": str(self.log),
            "NOTED_PAUSE": str(self.pause),
            "PYTHONPATH": os.pathsep.join(paths),
            "RAY_TMPDIR": str(self.temporary),
            "RAY_worker_niceness": "0",
        }


@dataclass
class Running:
    """A command at work. `started` is on the monotonic clock."""

    place: Place
    process: subprocess.Popen[bytes]
    started: float
    complaints: Path
    seen: dict[int, psutil.Process] = field(default_factory=dict)

    def family(self) -> list[psutil.Process]:
        """The driver, its Ray, and all their children that are alive; also those whose parent is gone."""
        mark = f"{self.place.folder}/"
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.pid == self.process.pid or any(mark in word for word in process.cmdline()):
                    found = [process, *process.children(recursive=True)]
                    self.seen |= {one.pid: one for one in found if one.pid not in self.seen}
        return [one for one in self.seen.values() if _is_alive(one) and one.pid != os.getpid()]

    def named(self, name: str) -> list[psutil.Process]:
        """Those of the family whose program has this name."""
        found = []
        for process in self.family():
            with contextlib.suppress(psutil.Error):
                if process.name() == name:
                    found.append(process)
        return found

    def trainers(self) -> list[psutil.Process]:
        """Those that have trained since the start."""
        begun = {one.process for one, moment in trainers(self.place.log).items() if moment > self.started}
        return [process for process in self.family() if process.pid in begun]

    def first_step(self, after: float | None = None) -> float | None:
        """When a process that had not trained before began to, since then (the start)."""
        after = self.started if after is None else after
        return min((moment for moment in trainers(self.place.log).values() if moment > after), default=None)

    def wait_for_training(self) -> None:
        """Until a step was begun since the start, or the command has ended."""
        deadline = time.monotonic() + PATIENCE_S
        while self.first_step() is None and self.process.poll() is None:
            if time.monotonic() > deadline:
                raise TimeoutError(f"nothing was trained within {PATIENCE_S:.0f} s: {self.said()}")
            time.sleep(0.02)

    def wait(self, seconds: float) -> int | None:
        """The exit status; None when it has not ended until then."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def end_all(self, patience_s: float = 0.0) -> list[str]:
        """Kill what is left of the family after so many seconds; what was: the beginning of each command line."""
        left = end_those(self.family, patience_s)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(30)
        return left

    def said(self, characters: int = 1500) -> str:
        """The end of what it wrote to stdout and stderr."""
        return self.complaints.read_text(errors="replace")[-characters:]


def end_those(found: Callable[[], list[psutil.Process]], patience_s: float) -> list[str]:
    """Kill what is still found after so many seconds; the beginning of the command line of each."""
    deadline = time.monotonic() + patience_s
    while (left := found()) and time.monotonic() < deadline:
        time.sleep(0.2)
    names = []
    for process in left:
        with contextlib.suppress(psutil.Error):
            names.append(" ".join(process.cmdline())[:80].strip())
            process.kill()
    return names


def _note_left(found: Callable[[], list[psutil.Process]], tally: Tally) -> None:
    """A remark on every process that does not end by itself; it is killed then."""
    if left := end_those(found, GONE_WITHIN_S):
        tally.remarks.append(f"left {GONE_WITHIN_S:.0f} s after the driver had ended: {left}")


def _is_alive(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


@dataclass
class Searches:
    """Images, an unbroken search of them, and others to hurt."""

    folder: Path
    data: Path
    cache: Path
    expected: Results = field(default_factory=lambda: Results({}, (), {}))
    unbroken_steps: int = 0
    alive: list[Running] = field(default_factory=list)
    rounds: int = 0

    @property
    def epoch_steps(self) -> float:
        """Steps of all lanes in one epoch of a bundle."""
        return self.unbroken_steps / (BUNDLES * EPOCHS)

    def fresh(self, *, own_cache: bool = False, pause: float = Place.pause) -> Place:
        """A place without any result."""
        self.rounds += 1
        folder = self.folder / str(self.rounds)
        place = Place(folder, self.data, folder / "cache" if own_cache else self.cache, pause)
        place.temporary.mkdir(parents=True)
        return place

    def start(
        self,
        place: Place,
        command: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        cwd: Path = ROOT,
    ) -> Running:
        """Run a command there (the search), in a process group of its own."""
        complaints = place.folder / f"said-{len(self.alive)}"
        with complaints.open("wb") as stream:
            started = time.monotonic()
            process = subprocess.Popen(
                command or place.search(),
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                start_new_session=True,
                cwd=cwd,
                env=environment or place.environment(),
            )
        running = Running(place, process, started, complaints)
        self.alive.append(running)
        return running

    def end(self, running: Running, tally: Tally, *, happened: bool, allowed: float, again: bool = True) -> None:
        """Run the search to its end at once (again: if it is not there), compare, clear up.

        Of the processes of the one that was hurt none may be left in the end: Ray's agents take a minute to give up.
        """
        hurt = running.family()
        if again:
            self.finish(self.start(running.place), tally)
        _note_left(lambda: [one for one in hurt if _is_alive(one)], tally)
        self.judge(running.place, tally, happened=happened, allowed=allowed)

    def finish(self, last: Running, tally: Tally) -> None:
        """The command that goes on must end well; from its start to its first step is the time of recovery."""
        status = last.wait(PATIENCE_S)
        began = last.first_step()
        if began is not None:
            tally.seconds.append(began - last.started)
        if status != 0:
            tally.remarks.append(f"the search after the fault ended with status {status}: {last.said()}")
        _note_left(last.family, tally)

    def judge(self, place: Place, tally: Tally, *, happened: bool, allowed: float) -> None:
        """Compare with the unbroken search, count what was trained again, and clear up."""
        repeated = (steps_noted(place.log) - self.unbroken_steps) / self.epoch_steps
        tally.epochs.append(repeated)
        if repeated > allowed:
            tally.remarks.append(f"{repeated:.2f} epochs were trained again, {allowed:g} allowed")
        compared = compare(place.storage, self.expected)
        tally.add(compared, happened=happened)
        if compared.is_equal:
            shutil.rmtree(place.folder, ignore_errors=True)


@contextlib.contextmanager
def searches() -> Iterator[Searches]:
    """In a temporary folder with a short name; all that was started is gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="of-", dir="/tmp"))
    made = make_tiny_study(folder / "images")
    found = Searches(folder, made.data, folder / "cache")
    try:
        place = found.fresh(pause=0.0)
        unbroken = found.start(place)
        status = unbroken.wait(PATIENCE_S)
        assert status == 0, unbroken.said()
        found.unbroken_steps = steps_noted(place.log)
        found.expected = Results.of(place.storage)
        assert len(found.expected.finals) == BUNDLES * REPEATS
        yield found
    finally:
        for running in found.alive:
            running.end_all()
        shutil.rmtree(folder, ignore_errors=True)
