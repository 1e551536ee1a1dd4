"""Exclusive moves without hard links: of many one wins, a killed or suspended creator blocks nobody."""

from __future__ import annotations

import errno
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from orchestrator.store import exclusive
from orchestrator.store.storage import TEMPORARY_PREFIX, LocalStorage, sweep_temporaries
from tests.support.checkout import ROOT

DECIDED = f"{TEMPORARY_PREFIX}of-new"


@pytest.fixture
def storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalStorage:
    """On a file system that knows neither links nor renames that refuse to replace."""

    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    monkeypatch.setattr(exclusive, "_renameat2", lambda: None)
    return LocalStorage(tmp_path)


def names(storage: LocalStorage) -> list[str]:
    return sorted(path.name for path in storage.root.iterdir())


def test_a_decision_that_its_killed_creator_left_is_finished_by_the_next(storage: LocalStorage) -> None:
    (storage.root / DECIDED).mkdir()
    (storage.root / DECIDED / f"{TEMPORARY_PREFIX}1").write_bytes(b"of the killed one")
    assert storage.create("new", b"too late") is False
    assert storage.read("new") == b"of the killed one"
    assert names(storage) == ["new"]


def test_an_empty_decision_is_nobodys(storage: LocalStorage) -> None:
    (storage.root / DECIDED).mkdir()
    assert storage.create("new", b"first") is True
    assert names(storage) == ["new"]


def test_a_creator_that_was_helped_knows_that_it_won(storage: LocalStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody moves its file between its decision and its own move."""
    real = Path.rename

    def helped(self: Path, target: Path) -> Path:
        moved = real(self, target)
        if Path(target).name == DECIDED:
            assert LocalStorage(storage.root).create("new", b"the helper's") is False
        return moved

    monkeypatch.setattr(Path, "rename", helped)
    assert storage.create("new", b"the first one's") is True
    assert storage.read("new") == b"the first one's"
    assert names(storage) == ["new"]


def test_one_that_overslept_its_first_look_overwrites_nothing(
    storage: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It saw no target, was suspended, and somebody else created and cleared up meanwhile."""
    real = storage._written_beside

    def suspended(target: Path, content: bytes) -> Path:
        temporary = real(target, content)
        assert LocalStorage(storage.root).create("new", b"the quick one's") is True
        return temporary

    monkeypatch.setattr(storage, "_written_beside", suspended)
    assert storage.create("new", b"the late one's") is False
    assert storage.read("new") == b"the quick one's"
    assert names(storage) == ["new"]


def test_a_helper_that_overslept_moves_nobody_elses_file(storage: LocalStorage) -> None:
    """It had listed one creator's folder; when it moves, another creator's folder lies there."""
    decided, target = storage.root / DECIDED, storage.root / "new"
    decided.mkdir()
    first = decided / f"{TEMPORARY_PREFIX}1"
    first.write_bytes(b"first")
    seen = list(decided.iterdir())
    first.rename(target)
    (decided / f"{TEMPORARY_PREFIX}2").write_bytes(b"second")
    with pytest.raises(FileNotFoundError):
        seen[0].rename(target)
    assert target.read_bytes() == b"first"


def test_what_killed_creators_leave_is_swept_once_old(storage: LocalStorage) -> None:
    for folder in (DECIDED, f"{TEMPORARY_PREFIX}own"):
        (storage.root / folder).mkdir()
        (storage.root / folder / f"{TEMPORARY_PREFIX}content").write_bytes(b"x")
    for path in storage.root.rglob("*"):
        os.utime(path, (time.time() - 7200,) * 2)
    sweep_temporaries(storage.root)
    for path in storage.root.rglob("*"):
        os.utime(path, (time.time() - 7200,) * 2)
    sweep_temporaries(storage.root)
    assert names(storage) == []


CREATOR = """
import errno, os, sys
from pathlib import Path
from orchestrator.store import exclusive
from orchestrator.store.storage import LocalStorage
def refuse(*_):
    raise OSError(errno.EPERM, "no links")
os.link = refuse
exclusive._renameat2 = lambda: None
storage = LocalStorage(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
for number in range(int(sys.argv[3])):
    if storage.create(f"many/{number}", sys.argv[2].encode() * 500):
        with open(sys.argv[1] + "/won-" + sys.argv[2], "a") as won:
            won.write(f"{number}\\n")
"""


def test_of_creators_that_are_killed_and_suspended_one_wins_each_name(tmp_path: Path) -> None:
    """Nobody believes to have won what another one holds; only a killed one may have won without knowing."""
    names, draws = 400, random.Random(3)
    command = [sys.executable, "-c", CREATOR, str(tmp_path)]
    processes = [
        subprocess.Popen([*command, str(n), str(names)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for n in range(4)
    ]
    try:
        for process in processes:
            assert process.stdout is not None
            process.stdout.readline()
        for process in processes:
            assert process.stdin is not None
            process.stdin.write(b"\n")
            process.stdin.flush()
        for _ in range(12):
            target = draws.choice(processes[1:])
            target.send_signal(signal.SIGSTOP)
            time.sleep(draws.uniform(0, 0.04))
            target.send_signal(signal.SIGCONT)
        processes[3].kill()
        for process in processes[:3]:
            assert process.wait() == 0
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    won = {n: set((tmp_path / f"won-{n}").read_text().split()) for n in range(4) if (tmp_path / f"won-{n}").exists()}
    for number in range(names):
        content = (tmp_path / "many" / str(number)).read_bytes()
        assert len(content) == 500
        owner = int(content[:1])
        believers = [n for n in won if str(number) in won[n]]
        assert believers in ([owner], []), (number, owner, believers)
        assert believers or owner == 3, "only the killed one may not know what it won"
