"""How long Ray's start is tried, and what the user is told meanwhile, without a Ray."""

from __future__ import annotations

import errno
import socket
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import ray

from orchestrator.running import ray_start
from orchestrator.store.errors import InputError, OrchError

LOCAL = {"address": "local"}
ADVICE = (
    "The machine may be too busy, or something may be missing: orch doctor says what. Run the same command again later."
)


class Starts:
    """In place of ray.init: fails so many times after so many seconds, and leaves a process behind each time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, failures: int, takes_s: float, load: float) -> None:
        self.failures = failures
        self.takes_s = takes_s
        self.now = 100.0
        self.left: list[subprocess.Popen[bytes]] = []
        self.nodes: list[SimpleNamespace] = []
        monkeypatch.setattr(ray, "init", self)
        monkeypatch.setattr(ray._private.node.Node, "start_raylet", lambda node, place: self.nodes.append(node))
        monkeypatch.setattr(ray._raylet, "persist_port", lambda folder, node, name, port: folder.update({name: port}))
        monkeypatch.setattr(ray_start.time, "monotonic", lambda: self.now)
        monkeypatch.setattr(ray_start.os, "getloadavg", lambda: (load, 0.0, 0.0))
        monkeypatch.setattr(ray_start.os, "cpu_count", lambda: 2)

    def __call__(self, **options: Any) -> None:
        self.left.append(subprocess.Popen(["sleep", "600"]))
        node = SimpleNamespace(_session_dir={}, _node_id="n", _ray_params=SimpleNamespace(runtime_env_agent_port=0))
        ray._private.node.Node.start_raylet(node, "/dev/shm")
        self.now += self.takes_s
        if len(self.left) <= self.failures:
            raise RuntimeError("The current node timed out during startup.")

    def ends(self) -> list[int]:
        """Exit statuses of what was left behind."""
        return [process.wait() for process in self.left]


def test_a_busy_machine_is_waited_for_and_the_user_told(monkeypatch: pytest.MonkeyPatch) -> None:
    starts, told = Starts(monkeypatch, failures=5, takes_s=60.0, load=17.2), list[str]()
    ray_start.start(LOCAL, told.append)
    last = starts.left.pop()
    assert last.poll() is None
    last.kill()
    last.wait()
    assert starts.ends() == [-9] * 5, "what Ray forgot is gone"
    assert len(told) == 5
    assert told[0] == (
        "Ray did not start within 60 s: this machine is busy (load 17 on 2 cores); trying again, for 9 min at most."
    )
    assert told[4].endswith("trying again, for 5 min at most.")


@pytest.mark.parametrize(
    ("takes_s", "load", "tries", "seconds"),
    [
        pytest.param(60.0, 17.2, 10, 600, id="busy"),
        pytest.param(60.0, 1.9, 3, 180, id="idle"),
        pytest.param(0.5, 17.2, 3, 2, id="busy, and another reason"),
    ],
)
def test_in_the_end_it_says_so(
    monkeypatch: pytest.MonkeyPatch, takes_s: float, load: float, tries: int, seconds: int
) -> None:
    starts, told = Starts(monkeypatch, 99, takes_s, load), list[str]()
    with pytest.raises(OrchError) as error:
        ray_start.start(LOCAL, told.append)
    assert type(error.value) is OrchError
    assert str(error.value) == (
        f"Ray could not be started, {tries} times in {seconds} s: The current node timed out during startup.\n{ADVICE}"
    )
    assert starts.ends() == [-9] * tries
    assert len(told) == (tries - 1 if tries > 3 else 0)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (
            OSError(errno.ENOSPC, "No space left on device", "/tmp/ray/x"),
            "/tmp/ray/x: No space left on device\nThe disk",
        ),
        (PermissionError(errno.EACCES, "Permission denied", "/tmp/ray"), "/tmp/ray: Permission denied\nChoose another"),
        (OSError("validate_socket_filename failed: AF_UNIX path length cannot exceed 107 bytes: /x"), "Choose another"),
        (ValueError("The configured object store size (20.0 GB) exceeds /dev/shm size (0.1 GB)."), "--shm-size=2g"),
        (OSError(errno.EMFILE, "Too many open files"), "Too many open files\nRaise the limit"),
    ],
)
def test_what_no_second_try_would_mend_is_told_at_once(
    monkeypatch: pytest.MonkeyPatch, error: Exception, told: str
) -> None:
    tries: list[dict[str, Any]] = []

    def init(**options: Any) -> None:
        tries.append(options)
        raise RuntimeError("no node") from error

    monkeypatch.setattr(ray, "init", init)
    with pytest.raises(OrchError) as found:
        ray_start.start(LOCAL, lambda _: None)
    assert told in str(found.value)
    assert str(found.value).startswith("Ray could not be started: ")
    assert len(tries) == 1


def test_a_cluster_that_cannot_be_joined_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    starts = Starts(monkeypatch, failures=9, takes_s=60.0, load=17.2)
    with pytest.raises(InputError) as error:
        ray_start.join({"address": "10.0.0.1:6379"})
    assert str(error.value) == (
        "Ray could not join 10.0.0.1:6379: The current node timed out during startup.\n"
        "Check the address and RAY_AUTH_MODE=token, or leave --address out to run on this machine alone."
    )
    assert starts.ends() == [-9]
    assert starts.nodes[0]._session_dir == {}, "what its helpers do is its own"


def test_no_helper_is_waited_for_and_every_try_has_a_port_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    starts = Starts(monkeypatch, failures=2, takes_s=60.0, load=17.2)
    free = iter([21, 22, 23])
    monkeypatch.setattr(ray_start, "_free_port", lambda: next(free))
    before = ray._private.node.Node.start_raylet
    ray_start.start(LOCAL, lambda _: None)
    for process in starts.left:
        process.kill()
    starts.ends()
    assert [node._ray_params.runtime_env_agent_port for node in starts.nodes] == [21, 22, 23]
    assert all(node._session_dir == dict.fromkeys(ray_start.NOT_USED, -1) for node in starts.nodes)
    assert ray._private.node.Node.start_raylet is before


def test_a_port_is_a_free_one(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ray_start._free_port() in ray_start.PORTS
    with socket.create_server(("127.0.0.1", 0)) as taken:
        at = taken.getsockname()[1]
        monkeypatch.setattr(ray_start, "PORTS", range(at, at + 1))
        with pytest.raises(OSError, match=f"no port from {at} to {at + 1} is free"):
            ray_start._free_port()


def test_ray_has_what_is_put_in_its_place(tmp_path: Path) -> None:
    """Names of Ray's own, which another version may change."""
    names = vars(ray._raylet)
    assert set(ray_start.NOT_USED) <= {names[name] for name in names if name.endswith("_PORT_NAME")}
    ray._raylet.persist_port(str(tmp_path), "n", ray_start.NOT_USED[0], -1)
    assert ray._raylet.wait_for_persisted_port(str(tmp_path), "n", ray_start.NOT_USED[0], timeout_ms=0) == -1
    assert hasattr(ray._private.parameter.RayParams(), "runtime_env_agent_port")
    assert ray._private.ray_constants.RAY_DASHBOARD_STARTUP_TIMEOUT_S < ray_start.HELPER_PATIENCE_S
