"""What a private Ray is given, without a Ray."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from orchestrator.running import cluster
from tests.support.checkout import ROOT


def test_a_private_ray_gets_what_the_allocation_has(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[dict[str, Any]] = []
    monkeypatch.setattr(cluster, "start", lambda options, tell: begun.append(options))
    monkeypatch.setattr(cluster, "private_ray", lambda: str)
    monkeypatch.setattr(cluster.allocation, "cpus", lambda: 3)
    monkeypatch.setattr(cluster.allocation, "memory_bytes", lambda: 2_000_000_000)
    for name in (*cluster._ENVIRONMENT, cluster.NICENESS):
        monkeypatch.setenv(name, "1")
    with cluster.cluster(None, pytest.fail):
        pass
    assert os.environ[cluster.NICENESS] == "0", "as this process"
    with cluster.cluster(None, pytest.fail, nice=7):
        pass
    assert os.environ[cluster.NICENESS] == "7"
    assert begun[0]["num_cpus"] == 3
    assert begun[0]["object_store_memory"] == 200_000_000


@pytest.mark.parametrize(
    ("shared", "expected"), [(64_000_000, cluster.LEAST_OBJECT_STORE), (10**9, 900_000_000), (10**12, None)]
)
def test_what_ray_shares_fits_into_shared_memory(
    monkeypatch: pytest.MonkeyPatch, shared: int, expected: int | None
) -> None:
    """Of a machine with 100 GB that is all this process's."""
    monkeypatch.setattr(cluster.allocation, "memory_bytes", lambda: 10**11)
    monkeypatch.setattr(cluster.psutil, "virtual_memory", lambda: SimpleNamespace(total=10**11))
    monkeypatch.setattr(cluster.allocation, "shared_memory_bytes", lambda: shared)
    assert cluster._object_store() == ({} if expected is None else {"object_store_memory": expected})


@pytest.mark.slow
def test_a_ray_starts_without_a_home_in_a_long_folder_for_temporary_files(tmp_path: Path) -> None:
    """As in a container of a batch system: the folder has 130 characters, and the home is none."""
    folder = tmp_path / ("x" * (130 - len(str(tmp_path)) - 1))
    folder.mkdir()
    code = """
import os
from orchestrator.running.cluster import cluster
with cluster(None, print):
    import ray
    print(ray.get(ray.remote(lambda: "it works").remote()))
"""
    environment = {**os.environ, "TMPDIR": str(folder), "HOME": "/proc/none"}
    environment.pop("RAY_TMPDIR", None)
    run = subprocess.run([sys.executable, "-c", code], env=environment, cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    note, said = run.stdout.splitlines()
    assert note.startswith("Note: TMPDIR is too long a path for Ray's sockets")
    assert said == "it works"
