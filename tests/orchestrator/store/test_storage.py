"""The atomic write of a local folder when the disk, the permissions or the process fail."""

from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from orchestrator.store.errors import DamagedRecordError, StorageError
from orchestrator.store.storage import TEMPORARY_PREFIX, LocalStorage, sweep_temporaries
from tests.support.checkout import ROOT


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    storage = LocalStorage(tmp_path)
    storage.replace("kept", b"old content")
    return storage


@pytest.mark.parametrize(
    ("number", "cause", "advice"),
    [
        (errno.ENOSPC, "no space left on the device", "Free some space"),
        (errno.EDQUOT, "quota", "Free some space"),
        (errno.EROFS, "read-only", "--studies DIR"),
        (errno.EACCES, "permission denied", "--studies DIR"),
        (errno.EIO, "Input/output error", "Run the same command again"),
    ],
)
def test_a_failed_flush_is_explained_and_leaves_the_old_content(
    storage: LocalStorage, monkeypatch: pytest.MonkeyPatch, number: int, cause: str, advice: str
) -> None:
    def refuse(_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", refuse)
    for act in (lambda: storage.replace("kept", b"new"), lambda: storage.create("new", b"new")):
        with pytest.raises(StorageError) as raised:
            act()
        assert cause in raised.value.message
        assert str(storage.root) in raised.value.message
        assert advice in raised.value.advice
    monkeypatch.undo()
    assert storage.read("kept") == b"old content"
    assert [path.name for path in storage.root.iterdir()] == ["kept"]


def test_a_failed_rename_leaves_the_old_content(storage: LocalStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "replace", refuse)
    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(StorageError, match="no space left"):
        storage.replace("kept", b"new")
    with pytest.raises(StorageError, match="no space left"):
        storage.create("other", b"new")
    assert storage.read("kept") == b"old content"
    assert [path.name for path in storage.root.iterdir()] == ["kept"]


def test_a_file_size_limit_acts_as_a_full_disk(storage: LocalStorage) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
        with pytest.raises(StorageError, match="cannot write"):
            storage.replace("kept", b"n" * 5000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert storage.read("kept") == b"old content"
    assert [path.name for path in storage.root.iterdir()] == ["kept"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder(storage: LocalStorage) -> None:
    storage.root.chmod(0o500)
    try:
        for act in (
            lambda: storage.replace("kept", b"new"),
            lambda: storage.create("new", b"new"),
            lambda: storage.delete("kept"),
        ):
            with pytest.raises(StorageError, match="permission denied"):
                act()
    finally:
        storage.root.chmod(0o700)
    assert storage.read("kept") == b"old content"


def test_a_folder_in_the_place_of_a_file_is_a_storage_error(storage: LocalStorage) -> None:
    storage.replace("folder/file", b"x")
    for act in (
        lambda: storage.replace("folder", b"x"),
        lambda: storage.delete("folder"),
        lambda: storage.create("kept/below", b"x"),
        lambda: storage.replace("kept/below", b"x"),
    ):
        with pytest.raises(StorageError):
            act()
    with pytest.raises(DamagedRecordError, match="folder: expected a file, found a folder"):
        storage.read("folder")
    assert storage.read("kept") == b"old content"
    assert storage.read("folder/file") == b"x"


def test_temporaries_are_not_listed_and_swept_once_old(storage: LocalStorage) -> None:
    old, new = storage.root / f"{TEMPORARY_PREFIX}old", storage.root / "deep" / f"{TEMPORARY_PREFIX}new"
    new.parent.mkdir()
    for path in (old, new):
        path.write_bytes(b"torn")
    os.utime(old, (time.time() - 7200,) * 2)
    assert storage.list("") == ["deep", "kept"]
    assert storage.list("deep") == []
    assert sweep_temporaries(storage.root) == 1
    assert (old.exists(), new.exists(), storage.read("kept")) == (False, True, b"old content")


@pytest.mark.parametrize("number", [errno.EPERM, errno.EOPNOTSUPP])
def test_without_hard_links_create_is_still_exclusive(
    storage: LocalStorage, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", refuse)
    assert storage.create("new", b"first") is True
    assert storage.create("new", b"second") is False
    assert storage.create("other", b"content") is True
    assert storage.read("new") == b"first"
    assert storage.list("") == ["kept", "new", "other"]


CREATOR = """
import sys
from pathlib import Path
from orchestrator.store.storage import LocalStorage
storage = LocalStorage(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
print(sum(storage.create(f"many/{i}", sys.argv[2].encode() * 500) for i in range(40)), flush=True)
"""


def test_of_many_creating_processes_one_wins_each_name(storage: LocalStorage) -> None:
    command = [sys.executable, "-c", CREATOR, str(storage.root)]
    processes = [
        subprocess.Popen([*command, str(n)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for n in range(4)
    ]
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        won = [int(process.communicate()[0]) for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    assert sum(won) == 40
    owners = [storage.read(f"many/{i}") for i in range(40)]
    assert all(len(content) == 500 and len(set(content)) == 1 for content in owners)
    assert [sum(content[:1] == str(n).encode() for content in owners) for n in range(4)] == won


REPLACER = """
import sys
from pathlib import Path
from orchestrator.store.storage import LocalStorage
storage = LocalStorage(Path(sys.argv[1]))
number = 0
while True:
    storage.replace("kept", str(number % 10).encode() * 300_000)
    number += 1
    if number == 2:
        print("writing", flush=True)
"""


@pytest.mark.parametrize("pause", [0.0, 0.013, 0.031])
def test_a_killed_writer_leaves_a_whole_file(storage: LocalStorage, pause: float) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", REPLACER, str(storage.root)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "writing\n"
    time.sleep(pause)
    process.kill()
    process.communicate()
    content = storage.read("kept")
    assert len(content) == 300_000
    assert len(set(content)) == 1
    assert storage.list("") == ["kept"]
