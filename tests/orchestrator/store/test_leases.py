"""Claims on a folder: one owner at a time, the dead free at once, the silent after a while, the late learn of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from orchestrator.store import layout, leases
from orchestrator.store.leases import Driver, Lease, LeaseView, StaleWatch, current_lease, kept_alive
from orchestrator.store.storage import LocalStorage
from tests.support.checkout import ROOT
from tests.support.waiting import wait_until

FOLDER = "segments/0123456789ab"


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    return LocalStorage(tmp_path)


class Clock:
    """Stands for the observer's monotonic clock."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(leases.time, "monotonic", lambda: self.now)
        monkeypatch.setattr(leases.time, "time", lambda: pytest.fail("the wall clock was read"))


def taken(storage: LocalStorage, over: int = 0) -> Lease:
    lease = Lease.take(storage, FOLDER, over, "cpu")
    assert lease is not None
    return lease


def elsewhere(storage: LocalStorage, number: int, beat: Any = 0, **changes: Any) -> None:
    """A lease as another machine would write it."""
    content = {
        "owner": "other",
        "beat": beat,
        "process": {"machine": "another boot", "pid": 1, "started": 5},
        **changes,
    }
    storage.replace(layout.lease(FOLDER, number), json.dumps(content).encode())


def test_take_hold_release(storage: LocalStorage) -> None:
    watch = StaleWatch(stale_after_s=60.0)
    assert current_lease(storage, FOLDER) is None
    assert watch.is_free(FOLDER, None)
    lease = taken(storage)
    held = current_lease(storage, FOLDER)
    assert held is not None
    assert (held.number, held.is_released, held.owner_is_dead()) == (1, False, False)
    assert not watch.is_free(FOLDER, held)
    assert Lease.take(storage, FOLDER, 0, "cpu") is None
    assert lease.renew(7, 10, force=True)
    renewed = current_lease(storage, FOLDER)
    assert renewed is not None
    assert renewed.beat == (lease.owner, 1)
    assert (renewed.content["epoch"], renewed.content["of"], renewed.content["device"]) == (7, 10, "cpu")
    lease.release()
    released = current_lease(storage, FOLDER)
    assert released is not None
    assert released.is_released
    assert watch.is_free(FOLDER, released)


def test_a_successor_takes_the_next_number_and_sweeps(storage: LocalStorage) -> None:
    taken(storage).release()
    assert Lease.take(storage, FOLDER, 0, "cpu") is None
    second = taken(storage, over=1)
    assert second.number == 2
    assert storage.list(FOLDER) == ["lease-1.json", "lease-2.json"]
    second.release()
    assert storage.list(FOLDER) == ["lease-2.json"]
    assert taken(storage, over=2).number == 3


def test_of_many_takers_one_wins(storage: LocalStorage) -> None:
    for over in range(6):
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda _, over=over: Lease.take(storage, FOLDER, over, "cpu"), range(8)))
        assert sum(lease is not None for lease in found) == 1


def test_renewing_is_cheap_until_it_is_due(storage: LocalStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    lease = taken(storage)
    clock.now += leases.RENEW_EVERY_S - 0.1
    assert lease.renew(0, 1)
    view = current_lease(storage, FOLDER)
    assert view is not None
    assert view.beat[1] == 0
    clock.now += 0.2
    assert lease.renew(0, 1)
    view = current_lease(storage, FOLDER)
    assert view is not None
    assert view.beat[1] == 1


def test_a_slow_storage_is_told_less_often(storage: LocalStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, lease, replace = Clock(monkeypatch), taken(storage), LocalStorage.replace

    def slow(self: LocalStorage, path: str, content: bytes) -> None:
        clock.now += 0.15
        replace(self, path, content)

    monkeypatch.setattr(LocalStorage, "replace", slow)
    beats = []
    for epoch in range(1, 13):
        clock.now += 1.0
        assert lease.renew(epoch, 20)
        beats.append(lease.beat)
    assert beats[0] == beats[2] == 1, "0.15 s are a twentieth of 3 s"
    assert beats[-1] == 4


def test_a_silent_owner_is_stale_by_the_observers_clock_alone(
    storage: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch)
    elsewhere(storage, 1, updated="1970-01-01T00:00:00+00:00")
    watch = StaleWatch(stale_after_s=30.0)
    assert not watch.is_free(FOLDER, current_lease(storage, FOLDER)), "never seen before: its age is unknown"
    clock.now += 29.0
    assert not watch.is_free(FOLDER, current_lease(storage, FOLDER))
    elsewhere(storage, 1, beat=1)
    clock.now += 2.0
    assert not watch.is_free(FOLDER, current_lease(storage, FOLDER)), "it beat since"
    clock.now += 29.9
    assert not watch.is_free(FOLDER, current_lease(storage, FOLDER))
    clock.now += 0.2
    assert watch.is_free(FOLDER, current_lease(storage, FOLDER))
    assert not StaleWatch(30.0).is_free(FOLDER, current_lease(storage, FOLDER)), "another observer starts afresh"
    elsewhere(storage, 2, beat=1)
    assert not watch.is_free(FOLDER, current_lease(storage, FOLDER)), "a successor with the same beat is another lease"


def test_folders_are_watched_one_by_one(storage: LocalStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    watch = StaleWatch(stale_after_s=10.0)
    view = LeaseView(1, {"owner": "a", "beat": 0})
    other = "searches/0123456789ab"
    assert not watch.is_free(FOLDER, view)
    clock.now += 11.0
    assert not watch.is_free(other, view)
    assert watch.is_free(FOLDER, view)


def test_a_woken_owner_learns_of_its_successor(storage: LocalStorage) -> None:
    first = taken(storage)
    second = taken(storage, over=1)
    assert not first.renew(0, 1, force=True)
    assert second.renew(0, 1, force=True)
    first.release()
    view = current_lease(storage, FOLDER)
    assert view is not None
    assert (view.number, view.is_released) == (2, False), "the late release of the first frees nothing"
    second.release()
    assert not first.renew(0, 1, force=True), "also once its own file is gone"
    assert storage.list(FOLDER) == ["lease-2.json"]


@pytest.mark.parametrize("content", [b"", b'{"owner": "a", "be', b"[1]", b"null", b"\xff"])
def test_a_torn_lease_is_held_until_it_is_stale(
    storage: LocalStorage, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    clock = Clock(monkeypatch)
    storage.replace(layout.lease(FOLDER, 4), content)
    watch = StaleWatch(stale_after_s=5.0)
    assert not watch.is_free(FOLDER, current_lease(storage, FOLDER))
    clock.now += 5.0
    view = current_lease(storage, FOLDER)
    assert watch.is_free(FOLDER, view)
    assert taken(storage, over=4).number == 5


OWNER = """
import sys, time
from pathlib import Path
from orchestrator.store.leases import Lease
from orchestrator.store.storage import LocalStorage
storage = LocalStorage(Path(sys.argv[1]))
lease = Lease.take(storage, "segments/0123456789ab", 0, "cpu")
while True:
    print("held" if lease.renew(0, 1, force=True) else "succeeded", flush=True)
    time.sleep(0.02)
"""


@pytest.fixture
def owner(storage: LocalStorage) -> Any:
    process = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(storage.root)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_a_killed_owner_is_free_at_once(storage: LocalStorage, owner: subprocess.Popen[str]) -> None:
    watch = StaleWatch(stale_after_s=1e9)
    assert not watch.is_free(FOLDER, current_lease(storage, FOLDER))
    owner.send_signal(signal.SIGKILL)
    # it is a zombie here: nobody has waited for it
    wait_until(lambda: watch.is_free(FOLDER, current_lease(storage, FOLDER)))
    owner.wait()
    assert watch.is_free(FOLDER, current_lease(storage, FOLDER))
    assert taken(storage, over=1).number == 2


def test_a_stopped_owner_is_stale_and_learns_of_it_when_it_wakes(
    storage: LocalStorage, owner: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    os.kill(owner.pid, signal.SIGSTOP)
    clock, watch = Clock(monkeypatch), StaleWatch(stale_after_s=60.0)
    view = current_lease(storage, FOLDER)
    assert view is not None
    assert not view.owner_is_dead()
    assert not watch.is_free(FOLDER, view)
    clock.now += 50.0
    assert not watch.is_free(FOLDER, current_lease(storage, FOLDER))
    clock.now += 11.0
    assert watch.is_free(FOLDER, current_lease(storage, FOLDER))
    monkeypatch.undo()
    taken(storage, over=1)
    os.kill(owner.pid, signal.SIGCONT)
    assert owner.stdout is not None
    for line in owner.stdout:
        if line == "succeeded\n":
            break
    view = current_lease(storage, FOLDER)
    assert view is not None
    assert view.number == 2


def test_a_pid_that_came_back_as_another_process_is_a_dead_owner(storage: LocalStorage) -> None:
    lease = taken(storage)
    content = json.loads(storage.read(layout.lease(FOLDER, 1)))
    assert content["process"]["pid"] == os.getpid()
    content["process"]["started"] -= 1
    storage.replace(layout.lease(FOLDER, 1), json.dumps(content).encode())
    view = current_lease(storage, FOLDER)
    assert view is not None
    assert view.owner_is_dead()
    assert lease.renew(0, 1, force=True)
    view = current_lease(storage, FOLDER)
    assert view is not None
    assert not view.owner_is_dead()


def test_a_worker_whose_driver_is_gone_is_a_dead_owner(storage: LocalStorage) -> None:
    """Wherever it runs: nobody asks it for another step."""
    driver = asdict(Driver.here())
    elsewhere(storage, 1, driver=driver)
    watch = StaleWatch(stale_after_s=1e9)
    assert not watch.is_free(FOLDER, current_lease(storage, FOLDER))
    driver["process"]["started"] -= 1  # the number came back as another process
    elsewhere(storage, 1, driver=driver)
    assert watch.is_free(FOLDER, current_lease(storage, FOLDER))
    driver["process"]["machine"] = "another boot"
    elsewhere(storage, 1, driver=driver)
    assert not watch.is_free(FOLDER, current_lease(storage, FOLDER))


@pytest.mark.parametrize("driver", [None, "a driver", 1, {}, {"name": 1}, {"process": 1}, {"process": {"pid": "x"}}])
def test_what_a_lease_says_of_its_driver_may_be_torn(storage: LocalStorage, driver: Any) -> None:
    elsewhere(storage, 1, driver=driver)
    view = current_lease(storage, FOLDER)
    assert view is not None
    assert not view.is_through(Driver.here())
    assert not view.owner_is_dead()


@pytest.mark.parametrize("beat", ["x", [1], None, 1e400, {"a": 1}])
def test_a_beat_that_is_no_number_goes_stale(storage: LocalStorage, beat: Any) -> None:
    elsewhere(storage, 1, beat=beat)
    view = current_lease(storage, FOLDER)
    assert view is not None
    assert view.beat[1] == 0


def test_a_number_that_no_process_has_is_a_dead_owner(storage: LocalStorage) -> None:
    content = json.loads(taken(storage)._content(released=False))
    content["process"]["pid"] = 10**30
    storage.replace(layout.lease(FOLDER, 1), json.dumps(content).encode())
    view = current_lease(storage, FOLDER)
    assert view is not None
    assert view.owner_is_dead()


@pytest.mark.parametrize("machine", ["another boot", "", None])
def test_the_pid_of_another_machine_says_nothing(storage: LocalStorage, machine: str | None) -> None:
    elsewhere(storage, 1, process={"machine": machine, "pid": 2**22 - 1, "started": 1})
    view = current_lease(storage, FOLDER)
    assert view is not None
    assert not view.owner_is_dead()


def test_a_lease_beats_while_something_long_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "RENEW_EVERY_S", 0.01)
    storage = LocalStorage(tmp_path)
    lease = Lease.take(storage, FOLDER, 0, "cpu")
    assert lease is not None
    with kept_alive([lease]):
        wait_until(lambda: lease.beat >= 3)
    beat = lease.beat
    time.sleep(0.05)
    assert lease.beat == beat
