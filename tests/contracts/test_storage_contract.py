"""What every storage must do, whatever it stands on."""

from __future__ import annotations

import errno
import itertools
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from orchestrator.store import exclusive
from orchestrator.store.claims import SettledStorage
from orchestrator.store.errors import DamagedRecordError
from orchestrator.store.storage import LocalStorage, Storage
from tests.support.drive_folder import DriveCloud
from tests.support.object_server import bucket_storage, new_bucket, object_server

KINDS = (
    "a local folder",
    "a file system without hard links",
    "a file system without hard links and exclusive renames",
    "an object store",
    "a drive folder seen late",
    "drive folders of two machines",
)


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with object_server() as address:
        yield address


def refused(*_: object) -> None:
    raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))


class TakingTurns:
    """Two machines' storages; every call goes to the next one. What one does the other sees within its own delay."""

    def __init__(self, *storages: Storage) -> None:
        self._turns = itertools.cycle(storages)
        self._lock = threading.Lock()

    def __getattr__(self, name: str) -> object:
        with self._lock:
            return getattr(next(self._turns), name)


@pytest.fixture(params=KINDS)
def storage(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Storage:
    kind = request.param
    if "without hard links" in kind:
        monkeypatch.setattr(os, "link", refused)
    if "exclusive renames" in kind:
        monkeypatch.setattr(exclusive, "_renameat2", lambda: None)
    if kind == "an object store":
        address = request.getfixturevalue("endpoint")
        return bucket_storage(address, new_bucket(address))
    if kind == "a drive folder seen late":
        view = DriveCloud(late_s=0.01, seed=1).view()
        return SettledStorage(view, settle_s=0.03, contended=lambda _: True)
    if kind == "drive folders of two machines":
        cloud = DriveCloud(late_s=0.0, seed=1)
        views = [SettledStorage(cloud.view(), settle_s=0.03, contended=lambda _: True) for _ in range(2)]
        return TakingTurns(*views)  # type: ignore[return-value]
    return LocalStorage(tmp_path / "study")


class TestStorageContract:
    """Each test sees an empty storage."""

    def test_what_is_written_is_read(self, storage: Storage) -> None:
        content = bytes(range(256)) * 5000
        storage.replace("a/b/c.bin", content)
        assert storage.read("a/b/c.bin") == content
        assert storage.create("a/b/empty", b"")
        assert storage.read("a/b/empty") == b""

    @pytest.mark.parametrize("path", ["none", "folder/none", "file/below a file"])
    def test_what_is_not_there(self, storage: Storage, path: str) -> None:
        storage.replace("file", b"x")
        storage.replace("folder/other", b"x")
        with pytest.raises(FileNotFoundError):
            storage.read(path)
        assert storage.list(path) == []

    def test_replace_replaces(self, storage: Storage) -> None:
        storage.replace("a", b"a longer content")
        storage.replace("a", b"short")
        assert storage.read("a") == b"short"

    def test_create_never_overwrites(self, storage: Storage) -> None:
        assert storage.create("a/b", b"first") is True
        assert storage.create("a/b", b"second") is False
        assert storage.read("a/b") == b"first"
        storage.replace("c", b"there")
        assert storage.create("c", b"created") is False
        assert storage.read("c") == b"there"

    def test_delete(self, storage: Storage) -> None:
        storage.replace("a/b", b"x")
        storage.delete("a/b")
        storage.delete("a/b")
        storage.delete("never/was")
        assert storage.list("a") == []
        assert storage.create("a/b", b"again") is True

    def test_rename(self, storage: Storage) -> None:
        storage.replace("a/b", b"first")
        storage.replace("a/c", b"there")
        storage.rename("a/b", "a/c")
        storage.rename("never/was", "a/d")
        assert storage.list("a") == ["c"]
        assert storage.read("a/c") == b"first"
        assert storage.create("a/b", b"again") is True

    def test_what_is_larger_than_its_kind_is_not_read(self, storage: Storage) -> None:
        path = "segments/x/lease-1.json"
        storage.replace(path, bytes(1 << 20))
        assert len(storage.read(path)) == 1 << 20
        storage.replace(path, bytes((1 << 20) + 1))
        with pytest.raises(DamagedRecordError, match=r"lease-1\.json: expected at most 1 MiB \(lease\)"):
            storage.read(path)

    def test_list_is_sorted_and_of_one_level(self, storage: Storage) -> None:
        for path in ("f/b", "f/a/deep/er", "f/c.txt", "f/B", "g/x"):
            storage.replace(path, b"x")
        assert storage.list("f") == ["B", "a", "b", "c.txt"]
        assert storage.list("f/a") == ["deep"]
        assert {"f", "g"} <= set(storage.list(""))

    @pytest.mark.parametrize("path", ["../out", "/etc/hosts", "a/../../out", "a/..", "a\x00b"])
    def test_no_path_leaves_the_root(self, storage: Storage, tmp_path: Path, path: str) -> None:
        before = sorted(tmp_path.rglob("*"))
        for act in (
            lambda: storage.read(path),
            lambda: storage.list(path),
            lambda: storage.create(path, b"x"),
            lambda: storage.replace(path, b"x"),
            lambda: storage.delete(path),
        ):
            with pytest.raises(ValueError, match="not a path inside the study"):
                act()
        assert sorted(tmp_path.rglob("*")) == before

    def test_of_many_creators_one_wins(self, storage: Storage) -> None:
        workers, rounds = 16, 12
        barrier = threading.Barrier(workers)

        def work(worker: int) -> list[bool]:
            won = []
            for number in range(rounds):
                barrier.wait()
                won.append(storage.create(f"r/{number}", f"{worker}".encode() * 1000))
            return won

        with ThreadPoolExecutor(workers) as pool:
            results = list(pool.map(work, range(workers)))
        for number in range(rounds):
            winners = [worker for worker in range(workers) if results[worker][number]]
            assert len(winners) == 1
            assert storage.read(f"r/{number}") == f"{winners[0]}".encode() * 1000
        assert len(storage.list("r")) == rounds

    def test_a_reader_sees_a_whole_content_or_another(self, storage: Storage) -> None:
        storage.replace("a", b"0" * 200_000)
        stop = threading.Event()

        def write(digit: bytes) -> None:
            while not stop.is_set():
                storage.replace("a", digit * 200_000)

        writers = [threading.Thread(target=write, args=(digit,)) for digit in (b"1", b"2")]
        for writer in writers:
            writer.start()
        seen = set()
        try:
            for _ in range(300):
                content = storage.read("a")
                assert len(content) == 200_000
                assert len(set(content)) == 1
                seen.add(content[0])
        finally:
            stop.set()
            for writer in writers:
                writer.join()
        assert len(seen) > 1
        assert storage.list("") == ["a"]
