"""What a private Ray is given, without a Ray."""

from __future__ import annotations

import os
from typing import Any

import pytest

from orchestrator.running import cluster


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
