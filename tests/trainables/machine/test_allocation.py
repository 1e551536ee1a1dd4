"""Processors and memory of an allocation, from trees of control groups as they are found and from SLURM's variables."""

from __future__ import annotations

import os
from pathlib import Path

import psutil
import pytest

from trainables.machine.allocation import MEBIBYTE, cpus, memory_bytes

GIB = 2**30
VERSION_2 = "0::/jobs/7/step\n"
VERSION_1 = "4:memory:/jobs/7\n3:cpuset:/\n2:cpu,cpuacct:/jobs/7\n0::/\n"
UNLIMITED = "9223372036854771712"


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """16 processors, all of them this process's, and 64 GiB."""
    for name in [name for name in os.environ if name.startswith("SLURM_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(16)))
    memory = psutil.virtual_memory()._replace(total=64 * GIB)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)


def tree(root: Path, groups: str, **files: str) -> Path:
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(groups)
    for name, text in files.items():
        path = root / "sys/fs/cgroup" / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    return root


@pytest.mark.parametrize(
    ("groups", "files", "expected"),
    [
        (VERSION_2, {"jobs__7__step__cpu_dot_max": "400000 100000"}, 4),
        (VERSION_2, {"jobs__7__step__cpu_dot_max": "150000 100000"}, 2),
        (VERSION_2, {"jobs__7__step__cpu_dot_max": "10000 100000"}, 1),
        (VERSION_2, {"jobs__7__step__cpu_dot_max": "max 100000"}, 16),
        (VERSION_2, {"jobs__7__step__cpu_dot_max": "max 100000", "jobs__cpu_dot_max": "300000 100000"}, 3),
        (VERSION_2, {"jobs__7__step__cpu_dot_max": "9900000 100000"}, 16),
        ("0::/../../host/path\n", {"cpu_dot_max": "200000 100000"}, 2),
        (VERSION_1, {"cpu__jobs__cpu_dot_cfs_quota_us": "250000", "cpu__jobs__cpu_dot_cfs_period_us": "50000"}, 5),
        (VERSION_1, {"cpu__jobs__7__cpu_dot_cfs_quota_us": "-1", "cpu__jobs__7__cpu_dot_cfs_period_us": "100000"}, 16),
        (VERSION_1, {"cpu__cpu_dot_cfs_quota_us": "200000", "cpu__cpu_dot_cfs_period_us": "100000"}, 2),
        (VERSION_2, {"jobs__7__step__cpu_dot_max": "what is this"}, 16),
        ("rubbish", {}, 16),
    ],
)  # fmt: skip
def test_a_quota_of_the_own_group_or_of_one_above_counts(
    tmp_path: Path, groups: str, files: dict[str, str], expected: int
) -> None:
    assert cpus(tree(tmp_path, groups, **files)) == expected


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({}, 16),
        ({"SLURM_CPUS_ON_NODE": "6"}, 6),
        ({"SLURM_CPUS_ON_NODE": "32"}, 16),
        ({"SLURM_CPUS_ON_NODE": "6", "SLURM_CPUS_PER_TASK": "3"}, 6),
        ({"SLURM_CPUS_ON_NODE": "6", "SLURM_CPUS_PER_TASK": "3", "SLURM_STEP_ID": "0"}, 3),
        ({"SLURM_CPUS_ON_NODE": "", "SLURM_CPUS_PER_TASK": "3"}, 16),
        ({"SLURM_CPUS_ON_NODE": "4(x2)"}, 16),
    ],
)
def test_slurm_says_it_where_the_kernel_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: dict[str, str], expected: int
) -> None:
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    assert cpus(tmp_path) == expected


def test_affinity_counts_where_it_is_less(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_CPUS_ON_NODE", "8")
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3, 5})
    assert cpus(tree(tmp_path, VERSION_2, jobs__7__step__cpu_dot_max="400000 100000")) == 2


@pytest.mark.parametrize(
    ("groups", "files", "told", "expected"),
    [
        (VERSION_2, {"jobs__7__memory_dot_max": str(8 * GIB), "jobs__7__step__memory_dot_max": "max"}, {}, 8 * GIB),
        (VERSION_1, {"memory__jobs__7__memory_dot_limit_in_bytes": str(3 * GIB)}, {}, 3 * GIB),
        (VERSION_1, {"memory__jobs__7__memory_dot_limit_in_bytes": UNLIMITED}, {}, 64 * GIB),
        ("", {}, {"SLURM_MEM_PER_NODE": "4096"}, 4096 * MEBIBYTE),
        ("", {}, {"SLURM_MEM_PER_NODE": "0"}, 64 * GIB),
        ("", {}, {"SLURM_MEM_PER_CPU": "1000", "SLURM_CPUS_ON_NODE": "4"}, 4000 * MEBIBYTE),
        ("", {}, {"SLURM_MEM_PER_GPU": "9000", "SLURM_GPUS_ON_NODE": "2"}, 18000 * MEBIBYTE),
        (VERSION_2, {"jobs__memory_dot_max": str(2 * GIB)}, {"SLURM_MEM_PER_NODE": "4096"}, 2 * GIB),
    ],
)
def test_memory_is_the_least_of_machine_group_and_job(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    groups: str,
    files: dict[str, str],
    told: dict[str, str],
    expected: int,
) -> None:
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    assert memory_bytes(tree(tmp_path, groups, **files)) == expected
