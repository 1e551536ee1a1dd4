"""The driver ends with a word when its Ray is gone, and only then; without a Ray."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import ray

from orchestrator.running import lifeline
from tests.support.waiting import PatientClock

GO_ON = "Kept: all that was finished and the last checkpoints; the same command goes on from there."


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifeline, "WATCH_EVERY_S", 0.01)


@pytest.mark.parametrize("name", ["raylet", "gcs_server"])
def test_when_a_private_ray_dies_the_process_ends_with_a_word(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], name: str
) -> None:
    dead: list[tuple[str, None]] = [("log_monitor", None)]
    ended, statuses = threading.Event(), []

    def end(status: int) -> None:
        statuses.append(status)
        ended.set()

    monkeypatch.setattr(ray._private.worker, "_global_node", SimpleNamespace(dead_processes=lambda: dead))
    with lifeline.ends_with_ray(lifeline.private_ray(), end):
        assert not ended.wait(0.2)
        dead.append((name, None))
        ended.wait()
    assert statuses == [1]
    assert capfd.readouterr().err == f"\nError: Ray's {name} has died: it was killed, or memory ran out. {GO_ON}\n"


def test_a_ray_that_is_stopped_on_purpose_is_none_that_died(monkeypatch: pytest.MonkeyPatch) -> None:
    dead: list[tuple[str, None]] = []
    monkeypatch.setattr(ray._private.worker, "_global_node", SimpleNamespace(dead_processes=lambda: dead))
    with lifeline.ends_with_ray(lifeline.private_ray(), lambda status: pytest.fail("ended")):
        pass
    dead.append(("raylet", None))
    assert all(thread.name != "ray's processes" for thread in threading.enumerate())


@pytest.fixture
def head() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as made:
        yield made


@pytest.fixture
def raylet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, head: socket.socket) -> Iterator[socket.socket]:
    """Of the node of a driver that has joined a cluster."""
    monkeypatch.chdir(tmp_path)  # names of sockets are short
    with socket.socket(socket.AF_UNIX) as made:
        made.bind("raylet")
        made.listen(1)
        host, port = head.getsockname()
        node = SimpleNamespace(raylet_socket_name="raylet", gcs_address=f"{host}:{port}")
        monkeypatch.setattr(ray._private.worker, "_global_node", node)
        yield made


def test_a_cluster_that_answers_is_there(
    raylet: socket.socket, head: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, why_gone = PatientClock(monkeypatch), lifeline.joined_ray()
    for _ in range(30):
        clock.slept_s += lifeline.ASK_EVERY_S
        assert why_gone() == ""
        raylet.accept()[0].close()
        head.accept()[0].close()


def test_the_raylet_of_a_joined_node_is_missed(raylet: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, why_gone = PatientClock(monkeypatch), lifeline.joined_ray()
    waiting = [socket.socket(socket.AF_UNIX) for _ in range(3)]
    for one in waiting:
        one.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            one.connect("raylet")
    clock.slept_s += lifeline.ASK_EVERY_S
    assert why_gone() == "", "its queue is full, since it is busy"
    for one in waiting:
        one.close()
    raylet.close()
    clock.slept_s += lifeline.ASK_EVERY_S
    assert why_gone() == "Ray's raylet on this node has died: it was stopped or killed, or memory ran out."


def test_a_head_is_missed_after_a_while(
    raylet: socket.socket, head: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, why_gone = PatientClock(monkeypatch), lifeline.joined_ray()
    address = ":".join(map(str, head.getsockname()))
    head.close()
    clock.slept_s += lifeline.HEAD_PATIENCE_S - 1.0
    assert why_gone() == "", "it may come back"
    clock.slept_s += 2.0
    assert why_gone() == (f"Ray's head, {address}, has not answered for 46 s: it was stopped, or its node was lost.")
    with socket.create_server(("127.0.0.1", int(address.rpartition(":")[2]))):
        clock.slept_s += lifeline.ASK_EVERY_S
        assert why_gone() == "", "it has"
