"""How near to the ideal time many trials at once come: segments that sleep, on a Ray told of 64 CPUs, and real ones.

Driver, launcher, trial, leases and final records are the product's; only the training inside a trial is replaced by a
sleep. What sleeps does not load torch, which a trial loads with its first segment: so 64 of them fit a small machine.
`whole`: ideal time over the time from the start of Ray to its end. `running`: the share of its time that a worker is in
segments between its first and its last one, which leaves out what starting the processes takes.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import psutil
import ray
from table import Table, arguments, progress
from trivial import BACKBONE, grid, orch, search_arguments, write_images

from orchestrator.results.decided import Decided
from orchestrator.running import launch
from orchestrator.running.progress import Display
from orchestrator.search import SearchOptions, resolve_search
from orchestrator.store import layout
from orchestrator.store.leases import Lease
from orchestrator.store.open import open_storage
from orchestrator.store.schema import FinalRecord, History, RepeatState
from orchestrator.store.segments import SEGMENTS, LaneKey, Segment
from orchestrator.store.storage import LocalStorage, Storage
from orchestrator.study.asked import Given
from orchestrator.study.preparation import DataRequest
from orchestrator.train import RunOptions, run
from search_spaces.axes import BATCH_SIZE, LR
from search_spaces.changes import Changes
from trainables.bundles.failures import Kind
from trainables.machine.places import Places
from trainables.trial import Assignment, SegmentTrial

COLUMNS = (
    "what",
    "trials at a time",
    "segments",
    "seconds each",
    "all at work after s",
    "whole s",
    "ideal s",
    "whole %",
    "running %",
)
SLEPT = "slept.json"
MEMORY_SHARE = 0.8


class SleepingRun:
    """Takes the place of `SegmentRun`: the same lease and final records, a sleep for the training."""

    seconds = 1.0

    def __init__(self, bench: Bench, segment: Segment, lease: Lease, assignment: Assignment) -> None:
        self.bench = bench
        self.segment = segment
        self.lease = lease
        self.epochs_trained = 0
        self._begun = time.time()

    def advance(self, seconds: float) -> bool:
        left = self._begun + self.seconds - time.time()
        if left > seconds:
            time.sleep(seconds)
            return False
        time.sleep(max(0.0, left))
        for lane in self.segment.lanes:
            path = self.segment.final(lane, RepeatState.FINISHED)
            self.bench.storage.create(path, self._final(lane).to_bytes())
        self.lease.release()
        own = psutil.Process().memory_full_info().uss
        note = {"begun": self._begun, "ended": time.time(), "pid": os.getpid(), "own_bytes": own}
        self.bench.storage.replace(f"{self.segment.folder}/{SLEPT}", json.dumps(note).encode())
        return True

    @property
    def steps(self) -> int:
        """Seconds slept so far, by which the watchdog sees that something goes on."""
        return int(time.time() - self._begun)

    def hang(self, error: BaseException, stacks: str) -> None:
        raise error

    def stop(self, outcome: str = "stopped") -> None:
        self.lease.release()

    def fail(self, error: BaseException) -> Kind:
        raise error

    def _final(self, lane: LaneKey) -> FinalRecord:
        epochs = self.segment.epochs
        history = History(("train", "valid"), np.ones((epochs + 1, 2)), np.ones((epochs + 1, 2, 2, 2), dtype=np.int32))
        meta = {"state": "finished", "repeat": lane.repeat, "epochs": epochs, "selected_epoch": 0, "selection": "loss"}
        return FinalRecord(meta, history, np.zeros((24, 1), dtype=np.float16))


@dataclass(frozen=True)
class Bench:
    """Of a workbench what a trial that sleeps asks for."""

    storage: Storage
    device: Any


def storage_alone(study: str, places: Places) -> Bench:
    return Bench(open_storage(study), SimpleNamespace(type="cpu"))


class SleepingTrial(SegmentTrial):
    """The product's trial around a `SleepingRun`."""

    def setup(self, config: dict[str, Any]) -> None:
        from trainables import trial

        vars(trial).update(begin_run=SleepingRun, workbench=storage_alone)
        super().setup(config)


@dataclass(frozen=True)
class Scaled:
    """What one search took: seconds of the whole, and (begun, ended) of each segment by worker."""

    seconds: float
    started: float
    segments: Mapping[str, Sequence[tuple[float, float]]]
    own_bytes: int = 0
    """The most memory that a worker which slept had for itself."""

    @property
    def all_at_work(self) -> float:
        """Seconds until every worker that ever worked had begun its first segment."""
        return max(several[0][0] for several in self.segments.values()) - self.started

    @property
    def running(self) -> float:
        """Share of the workers' time between their first and their last segment that they spent in segments."""
        within = sum(ended - begun for several in self.segments.values() for begun, ended in several)
        idle = sum(after[0] - before[1] for several in self.segments.values() for before, after in pairwise(several))
        return within / (within + idle)

    @property
    def each(self) -> float:
        return statistics.mean(ended - begun for several in self.segments.values() for begun, ended in several)


@contextmanager
def cpus(count: int) -> Iterator[None]:
    """Ray is told of so many CPUs, whatever there are."""
    original = ray.init

    def told(**options: Any) -> Any:
        return original(**{**options, "num_cpus": count})

    vars(ray)["init"] = told
    try:
        yield
    finally:
        vars(ray)["init"] = original


def search(root: Path, labels: Path, name: str, segments: int, epochs: int, workers: int) -> Scaled:
    """One new study of so many segments that cannot be stacked, trained by the product on so many CPUs."""
    display = Display()
    shutil.rmtree(root / "studies" / name, ignore_errors=True)
    changes = Changes(
        ("straightforward",),
        {LR: (1e-3,), BATCH_SIZE: tuple(range(16, 16 + segments))},
        epochs=epochs,
        repeats=10,
    )
    options = SearchOptions(
        study=name,
        backbones=(BACKBONE,),
        studies=root / "studies",
        cache=root / "cache",
        data=DataRequest(labels),
        changes=changes,
        given=Given(weights="none", precision="fp32"),
    )
    resolved = resolve_search(options, display)
    started, clock = time.time(), time.monotonic()
    with cpus(workers):
        status = run(resolved, display, lambda: None, RunOptions())
    seconds = time.monotonic() - clock
    if status:
        raise RuntimeError(f"{name} ended with {status}")
    storage = LocalStorage(root / "studies" / name)
    return Scaled(seconds, started, _by_worker(storage), _own_bytes(storage))


def _by_worker(storage: LocalStorage) -> dict[str, list[tuple[float, float]]]:
    """Each worker's segments in order: from its own notes where it slept, else from its lease and last final record."""
    segments: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for segment in Decided.of(storage).segments():
        names = storage.list(segment.folder)
        if SLEPT in names:
            note = json.loads(storage.read(f"{segment.folder}/{SLEPT}"))
            segments[str(note["pid"])].append((note["begun"], note["ended"]))
            continue
        lease = json.loads(storage.read(layout.lease(segment.folder, 1)))
        begun = storage.local(segment.recipe).stat().st_mtime
        finals = (storage.local(segment.final(lane, RepeatState.FINISHED)) for lane in segment.lanes)
        segments[str(lease["process"]["pid"])].append((begun, max(final.stat().st_mtime for final in finals)))
    return {worker: sorted(several) for worker, several in segments.items()}


def _own_bytes(storage: LocalStorage) -> int:
    folders = [f"{SEGMENTS}/{name}" for name in storage.list(SEGMENTS)]
    notes = [f"{folder}/{SLEPT}" for folder in folders if SLEPT in storage.list(folder)]
    return max((int(json.loads(storage.read(note))["own_bytes"]) for note in notes), default=0)


def add_row(table: Table, what: str, workers: int, scaled: Scaled, alone: float | None = None) -> None:
    """alone: seconds of a segment where one runs at a time, which is what the ideal is made of; None: its own."""
    count = sum(map(len, scaled.segments.values()))
    ideal = (alone or scaled.each) * count / workers
    table.add(
        what,
        workers,
        count,
        scaled.each,
        scaled.all_at_work,
        scaled.seconds,
        ideal,
        100 * ideal / scaled.seconds,
        100 * scaled.running * (1.0 if alone is None else alone / scaled.each),
    )


def workers_that_fit(wanted: int) -> tuple[int, int]:
    """As many as the free memory holds, and the bytes that one worker has for itself before its first segment."""
    code = "import psutil, trainables.trial; print(psutil.Process().memory_full_info().uss)"
    bytes_each = int(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)
    return min(wanted, int(MEMORY_SHARE * psutil.virtual_memory().available / bytes_each)), bytes_each


def _options() -> argparse.Namespace:
    parser = arguments(__doc__ or "", 1)
    parser.add_argument("--cpus", type=int, default=64, help="virtual CPUs for segments that sleep (default: 64)")
    parser.add_argument("--segments", type=int, default=5, help="that each worker sleeps through (default: 5)")
    parser.add_argument("--sleep", type=float, default=20.0, metavar="S", help="of each segment (default: 20)")
    parser.add_argument("--epochs", type=int, default=400, help="of real segments")
    parser.add_argument("--real", type=int, default=12, metavar="N", help="real segments (default: 12)")
    return parser.parse_args()


def main() -> None:
    options = _options()
    if options.quick:
        options.cpus, options.segments, options.sleep, options.epochs, options.real = 3, 2, 2.0, 20, 4
    fitting, bytes_each = workers_that_fit(options.cpus)
    root = Path(tempfile.mkdtemp(prefix="orch-scaling-"))
    table = Table("Scaling: share of the ideal time", COLUMNS)
    table.notes += [
        f"Before its first segment a worker holds {bytes_each / 1e6:.0f} MB of its own: {fitting} of {options.cpus} "
        "fit in the free memory here. Workers that sleep never load torch, which takes most of the memory of a worker "
        "that trains.",
        "ideal: segments × seconds each ÷ trials at a time; for real segments, the seconds of one trial at a time.",
        f"all at work: every worker's process has begun, on {len(os.sched_getaffinity(0))} cores. whole %: ideal ÷ "
        "whole; running %: the same without what starting and ending the processes takes.",
    ]
    try:
        labels = write_images(root / "images", groups=1 if options.quick else 6)
        warm = search_arguments("warm", labels, root / "studies", root / "cache", 1, 1, grid(1, "lr"))
        progress(f"features: {orch('search', *warm).seconds:.1f} s")
        vars(launch)["SegmentTrial"] = SleepingTrial
        SleepingRun.seconds = options.sleep
        for _ in range(options.rounds):
            sleeping = search(root, labels, "sleep", options.segments * fitting, 1, fitting)
            add_row(table, "sleeping", fitting, sleeping)
            table.notes.append(f"A worker that sleeps held at most {sleeping.own_bytes / 1e6:.0f} MB of its own.")
        vars(launch)["SegmentTrial"] = SegmentTrial
        for _ in range(options.rounds):
            one = search(root, labels, "one", options.real, options.epochs, 1)
            add_row(table, "training", 1, one)
            two = search(root, labels, "two", options.real, options.epochs, 2)
            add_row(table, "training", 2, two, one.each)
    finally:
        shutil.rmtree(root, ignore_errors=True)
    table.show()
    table.write_json(options.json)


if __name__ == "__main__":
    main()
