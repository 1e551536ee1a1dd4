"""What a private Ray is given, and what happens when it dies, without a Ray."""

from __future__ import annotations

import contextlib
import threading
from types import SimpleNamespace
from typing import Any

import pytest
import ray

from orchestrator.running import cluster


@pytest.mark.parametrize("name", ["raylet", "gcs_server"])
def test_when_ray_dies_the_process_ends_with_a_word(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], name: str
) -> None:
    dead: list[tuple[str, None]] = [("log_monitor", None)]
    ended, statuses = threading.Event(), []

    def end(status: int) -> None:
        statuses.append(status)
        ended.set()

    monkeypatch.setattr(cluster, "WATCH_EVERY_S", 0.01)
    monkeypatch.setattr(ray._private.worker, "_global_node", SimpleNamespace(dead_processes=lambda: dead))
    with cluster._ends_with_ray(end):
        assert not ended.wait(0.2)
        dead.append((name, None))
        ended.wait()
    assert statuses == [1]
    assert capfd.readouterr().err == (
        f"\nError: Ray's {name} has died: it was killed, or memory ran out. Kept: all that was finished and the last "
        "checkpoints; the same command goes on from there.\n"
    )


def test_a_ray_that_is_stopped_on_purpose_is_none_that_died(monkeypatch: pytest.MonkeyPatch) -> None:
    dead: list[tuple[str, None]] = []
    monkeypatch.setattr(cluster, "WATCH_EVERY_S", 0.01)
    monkeypatch.setattr(ray._private.worker, "_global_node", SimpleNamespace(dead_processes=lambda: dead))
    with cluster._ends_with_ray(lambda status: pytest.fail("ended")):
        pass
    dead.append(("raylet", None))
    assert all(thread.name != "ray's processes" for thread in threading.enumerate())


def test_a_private_ray_gets_what_the_allocation_has(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[dict[str, Any]] = []
    monkeypatch.setattr(cluster, "start", lambda options, tell: begun.append(options))
    monkeypatch.setattr(cluster, "_ends_with_ray", contextlib.nullcontext)
    monkeypatch.setattr(cluster.allocation, "cpus", lambda: 3)
    monkeypatch.setattr(cluster.allocation, "memory_bytes", lambda: 2_000_000_000)
    for name in cluster._ENVIRONMENT:
        monkeypatch.setenv(name, "1")
    with cluster.cluster(None, pytest.fail):
        pass
    assert begun[0]["num_cpus"] == 3
    assert begun[0]["object_store_memory"] == 200_000_000
