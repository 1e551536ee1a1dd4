"""Storage that really refuses: a limit on the size of files, a small file system that fills up, a bad line to S3."""

from __future__ import annotations

import dataclasses
import os
import random
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from orchestrator.store import layout, objects
from orchestrator.store.storage import Storage
from tests.faults.learning import STORAGE_REFUSED
from tests.faults.rounds import BEGINNING, WHOLE, Plan, World
from tests.faults.tally import Tally
from tests.support.bad_line import FAULTS, bad_line
from tests.support.object_server import CREDENTIALS, bucket_storage, new_bucket, object_server


@dataclass(frozen=True)
class FileSizeLimit:
    """No file of this process may grow beyond `limit` bytes."""

    limit: int

    def __call__(self) -> None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # the complaints of all processes are one file that grows, too
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (self.limit, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


@dataclass(frozen=True)
class InBucket:
    """Puts a study into a bucket of an object store, reached through `endpoint`."""

    endpoint: str
    bucket: str
    _opened: dict[int, Storage] = field(default_factory=dict, compare=False)

    def __call__(self, _: Storage) -> Storage:
        """One for each process: a connection does not survive a fork."""
        if os.getpid() not in self._opened:
            os.environ.update(CREDENTIALS)
            self._opened[os.getpid()] = bucket_storage(self.endpoint, self.bucket)
        return self._opened[os.getpid()]

    def __reduce__(self) -> tuple[type[InBucket], tuple[str, str]]:
        return InBucket, (self.endpoint, self.bucket)


def limited_files(world: World, limits: Sequence[int]) -> Tally:
    """RLIMIT_FSIZE, for real."""
    tally = Tally("files may not grow (RLIMIT_FSIZE)")
    for limit in limits:
        job = dataclasses.replace(world.fresh(), fault=FileSizeLimit(limit), pause=0.02)
        status = world.processes.start(job).wait()
        if status not in (0, STORAGE_REFUSED):
            tally.remarks.append(f"ended with status {status}: {world.processes.complaints()}")
        world.end(job, tally, happened=status == STORAGE_REFUSED, allowed=1.01)
    return tally


def full_disk(world: World, sizes_kb: Sequence[int]) -> Tally | None:
    """A small file system in memory that fills up and is then enlarged; None without the right to mount one."""
    tally = Tally("disk full, then enlarged (tmpfs)")
    for size in sizes_kb:
        job = dataclasses.replace(world.fresh(), pause=0.02)
        folder = job.study.folder
        kept = {path: job.study.storage.read(path) for path in (layout.MANIFEST, layout.partition(job.study.partition))}
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}k", "tmpfs", str(folder)]
        if not shutil.which("mount") or subprocess.run(command, capture_output=True).returncode:
            return None
        try:
            for path, content in kept.items():
                job.study.storage.create(path, content)
            status = world.processes.start(job).wait()
            if status not in (0, STORAGE_REFUSED):
                tally.remarks.append(f"ended with status {status}: {world.processes.complaints()}")
            subprocess.run(["mount", "-o", "remount,size=64m", str(folder)], check=True)
            world.end(job, tally, happened=status == STORAGE_REFUSED, allowed=1.01)
        finally:
            subprocess.run(["umount", "-l", str(folder)], check=True)
    return tally


def bad_lines(world: World, count: int, seed: int) -> Tally:
    """A run over S3 with one fault in so many requests; the process is killed now and then as well."""
    tally, draws = Tally("S3: 503, 500, slow, cut at four places"), random.Random(seed)
    with object_server() as endpoint:
        for number in range(count):
            fault, share = FAULTS[number % len(FAULTS)], draws.choice((0.05, 0.15, 0.3))
            plan = random.Random(draws.random())
            with bad_line(endpoint, lambda *_, p=plan, f=fault, s=share: f if p.random() < s else "") as (line, met):
                bucket = new_bucket(endpoint)
                job = world.fresh(BEGINNING, harm=InBucket(line, bucket))
                job = dataclasses.replace(job, fault=_Impatient())
                status = world.processes.start(job).wait()
                if status not in (0, STORAGE_REFUSED):
                    tally.remarks.append(f"{fault}: ended with status {status}: {world.processes.complaints()}")
                world.end(job, tally, BEGINNING, happened=bool(met), harm=InBucket(endpoint, bucket), allowed=1.01)
    return tally


def drivers_in_a_bucket(
    world: World, count: int, seed: int, drivers: int = 2, plan: Plan = WHOLE, of: str = "bucket"
) -> Tally:
    """Drivers on one study in a bucket, whose leases are conditional PUTs; one is killed and started again."""
    tally = Tally(f"{drivers} drivers in one {of}, one killed and started again")
    draws = random.Random(seed)
    with object_server() as endpoint:
        for _ in range(count):
            bucket = InBucket(endpoint, new_bucket(endpoint))
            job = dataclasses.replace(world.fresh(plan, harm=bucket), pause=0.02, stale_after_s=1.5, renew_every_s=0.1)
            alive = [world.processes.start(job) for _ in range(drivers)]
            time.sleep(draws.uniform(0.5, 2.0))
            alive[0].send(signal.SIGKILL)
            met = alive[0].wait() == -signal.SIGKILL
            alive[0] = world.processes.start(job)
            for driver in alive:
                if status := driver.wait():
                    tally.remarks.append(f"a driver ended with status {status}: {world.processes.complaints()}")
            world.end(job, tally, plan, happened=met, harm=bucket)
    return tally


@dataclass(frozen=True)
class _Impatient:
    """Short pauses between tries, so that a round does not take minutes."""

    def __call__(self) -> None:
        objects.FIRST_PAUSE_S = 0.02
