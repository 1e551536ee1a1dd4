"""Ray's start on a busy machine and its death, without a Ray."""

from __future__ import annotations

import contextlib
import subprocess
import threading
from types import SimpleNamespace
from typing import Any

import pytest
import ray

from orchestrator.running import cluster
from orchestrator.store.errors import InputError, OrchError


class Starts:
    """In place of ray.init: fails so many times, and leaves a process behind each time."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.left: list[subprocess.Popen[bytes]] = []

    def __call__(self, **options: Any) -> None:
        self.left.append(subprocess.Popen(["sleep", "60"]))
        if len(self.left) <= self.failures:
            raise RuntimeError("The current node timed out during startup.")


def test_a_start_that_took_too_long_is_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    starts = Starts(2)
    monkeypatch.setattr(ray, "init", starts)
    cluster._start({"address": "local"}, 3)
    *failed, last = starts.left
    assert [process.wait(10) for process in failed] == [-9, -9]
    assert last.poll() is None
    last.kill()
    last.wait()


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        (
            {"address": "local"},
            OrchError,
            "Ray could not be started, 2 times: The current node timed out during startup.\n"
            "The machine may be too busy, or Ray's folder (RAY_TMPDIR, else /tmp) full or its path too long. "
            "The same command goes on later.",
        ),
        (
            {"address": "10.0.0.1:6379"},
            InputError,
            "Ray could not join 10.0.0.1:6379: The current node timed out during startup.\n"
            "Check the address and RAY_AUTH_MODE=token, or leave --address out to run on this machine alone.",
        ),
    ],
)
def test_in_the_end_it_says_so(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], kind: type[OrchError], message: str
) -> None:
    starts = Starts(9)
    monkeypatch.setattr(ray, "init", starts)
    with pytest.raises(kind) as error:
        cluster._start(options, 2)
    assert type(error.value) is kind
    assert str(error.value) == message
    assert [process.wait(10) for process in starts.left] == [-9, -9]


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
        assert ended.wait(10)
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
    monkeypatch.setattr(cluster, "_start", lambda options, tries: begun.append(options))
    monkeypatch.setattr(cluster, "_ends_with_ray", contextlib.nullcontext)
    monkeypatch.setattr(cluster.allocation, "cpus", lambda: 3)
    monkeypatch.setattr(cluster.allocation, "memory_bytes", lambda: 2_000_000_000)
    for name in cluster._ENVIRONMENT:
        monkeypatch.setenv(name, "1")
    with cluster.cluster(None):
        pass
    assert begun[0]["num_cpus"] == 3
    assert begun[0]["object_store_memory"] == 200_000_000
