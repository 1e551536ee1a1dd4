"""What this process may use of its machine: its processors and its memory, which are often not the whole machine's.

Affinity and control groups (both versions) are what the kernel holds a process to. Where a batch system only trusts its
jobs to keep to what they asked for, SLURM's variables say it. The least of them counts. GPUs:
`orchestrator/running/gpus.py`.
"""

from __future__ import annotations

import contextlib
import math
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import psutil

MEBIBYTE = 2**20
_SLURM_MEMORY = (
    ("SLURM_MEM_PER_NODE", None),
    ("SLURM_MEM_PER_CPU", "SLURM_CPUS_ON_NODE"),
    ("SLURM_MEM_PER_GPU", "SLURM_GPUS_ON_NODE"),
)
"""MiB of an allocation, and of what; 0 is all that a node has."""


def cpus(root: Path = Path("/")) -> int:
    """Processors that this process may keep busy at a time, at least 1; a quota of 1.5 processors is two threads.

    root: where `proc` and `sys` are mounted.
    """
    counts = [len(os.sched_getaffinity(0)), *map(math.ceil, _cpu_quotas(root))]
    counts.append(_slurm("SLURM_CPUS_ON_NODE"))
    if "SLURM_STEP_ID" in os.environ:  # one of a step's tasks, which share what the step has on the node
        counts.append(_slurm("SLURM_CPUS_PER_TASK"))
    return min(count for count in counts if count)


def memory_bytes(root: Path = Path("/")) -> int:
    """Memory that this process and its children may use together."""
    sizes: list[int] = [psutil.virtual_memory().total]
    for text in _settings(root, "memory", "memory.max", "memory.limit_in_bytes"):
        sizes += [int(text)] if text.isdecimal() else []
    for name, of_what in _SLURM_MEMORY:
        sizes.append(_slurm(name) * MEBIBYTE * (_slurm(of_what) if of_what else 1))
    return min(size for size in sizes if size)


def shared_memory_bytes() -> int:
    """Free bytes of `/dev/shm`; 0 where there is none."""
    with contextlib.suppress(OSError):
        return shutil.disk_usage("/dev/shm").free
    return 0


def _cpu_quotas(root: Path) -> Iterator[float]:
    """In processors; nothing where there is no limit ("max", -1)."""
    quotas = [tuple(text.split()) for text in _settings(root, "cpu", "cpu.max", None)]
    old, periods = (_settings(root, "cpu", None, f"cpu.cfs_{name}_us") for name in ("quota", "period"))
    quotas += zip(old, periods, strict=False)
    for quota, period in (pair for pair in quotas if len(pair) == 2):
        if quota.isdecimal() and period.isdecimal() and int(quota) and int(period):
            yield int(quota) / int(period)


def _settings(root: Path, controller: str, new: str | None, old: str | None) -> Iterator[str]:
    """What a file says in this process's control group and in all above it: the file's name in version 2 and in 1.

    In a container the group's own path may be one of the host's, of which only the top is seen.
    """
    try:
        groups = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for _, controllers, path in (line.split(":", 2) for line in groups if line.count(":") >= 2):
        name, top = (old, controller) if controller in controllers.split(",") else (None if controllers else new, "")
        if name is None:
            continue
        mounted = root / "sys/fs/cgroup" / top
        group = mounted / path.strip("/")
        for folder in (group, *group.parents):
            with contextlib.suppress(OSError):
                yield (folder / name).read_text().strip()
            if folder == mounted:
                break


def _slurm(name: str) -> int:
    """A number of SLURM's; 0 where it says none."""
    text = os.environ.get(name, "")
    return int(text) if text.isdecimal() else 0
