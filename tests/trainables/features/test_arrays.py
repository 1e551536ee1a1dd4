"""Arrays on disk: chunks by any process in any order, nothing counted that was not written, failures explained."""

from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orchestrator.store.errors import DamagedRecordError, StorageError
from orchestrator.store.storage import LocalStorage
from tests.support.checkout import ROOT
from trainables.features import arrays
from trainables.features.arrays import ArraySpec, ChunkedArrays

SPECS = (ArraySpec("a", (3, 2), "float32"), ArraySpec("b", (), "uint8"))


def rows_of(rows: range) -> dict[str, np.ndarray]:
    index = np.asarray(rows)
    return {"a": (index[:, None, None] + np.arange(6).reshape(3, 2) / 10).astype(np.float32), "b": index.astype("u1")}


def made(folder: Path, chunk_rows: int = 4) -> ChunkedArrays:
    store = ChunkedArrays(folder / "store", SPECS, 10, chunk_rows)
    store.prepare()
    return store


@pytest.mark.parametrize("chunk_rows", [1, 3, 4, 10, 99])
def test_rows_come_back_whatever_the_chunks(tmp_path: Path, chunk_rows: int) -> None:
    store = made(tmp_path, chunk_rows)
    assert [row for chunk in range(store.chunks) for row in store.rows_of(chunk)] == list(range(10))
    for chunk in reversed(store.missing()):
        store.write(chunk, rows_of(store.rows_of(chunk)))
    assert store.missing() == []
    loaded = ChunkedArrays.load(store.folder)
    assert (loaded.rows, loaded.chunk_rows, loaded.specs) == (10, chunk_rows, SPECS)
    for name, expected in rows_of(range(10)).items():
        assert np.array_equal(loaded.open()[name], expected)
    assert store.total_bytes == 10 * (24 + 1)


def test_only_written_chunks_count(tmp_path: Path) -> None:
    store = made(tmp_path)
    assert store.missing() == [0, 1, 2]
    store.write(1, rows_of(store.rows_of(1)))
    assert ChunkedArrays.load(store.folder).missing() == [0, 2]
    made(tmp_path)
    assert ChunkedArrays.load(store.folder).missing() == [0, 2], "preparing again forgets nothing"
    assert np.array_equal(store.open()["b"][4:8], [4, 5, 6, 7])
    store.discard(1)
    assert store.missing() == [0, 1, 2]


def test_verify_finds_a_flipped_byte(tmp_path: Path) -> None:
    store = made(tmp_path)
    store.write(2, rows_of(store.rows_of(2)))
    assert store.verify(2)
    assert not store.verify(0)
    with (store.folder / "a.bin").open("r+b") as file:
        file.seek(8 * 24 + 5)
        file.write(b"\x7e")
    assert not store.verify(2)


def filled(folder: Path) -> ChunkedArrays:
    store = made(folder)
    for chunk in store.missing():
        store.write(chunk, rows_of(store.rows_of(chunk)))
    return store


@pytest.mark.parametrize("harm", ["removed", "cut short"])
@pytest.mark.parametrize("name", ["a", "b"])
def test_rows_of_a_lost_file_are_missing(tmp_path: Path, harm: str, name: str) -> None:
    store, file = filled(tmp_path), tmp_path / "store" / f"{name}.bin"
    content = file.read_bytes()
    file.unlink()
    if harm == "cut short":
        file.write_bytes(content[:-1])
    assert ChunkedArrays.load(store.folder).missing() == [0, 1, 2]
    again = made(tmp_path)
    assert again.missing() == [0, 1, 2], "the new file has zeros in it"
    again.write(1, rows_of(again.rows_of(1)))
    assert made(tmp_path).missing() == [0, 2], "what was written since then counts"


@pytest.mark.parametrize("act", ["delete", "posix_fallocate"])
def test_killed_while_a_lost_file_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, act: str) -> None:
    store = filled(tmp_path)
    (store.folder / "a.bin").unlink()
    calls: list[Any] = []

    def vanish(*arguments: Any) -> None:
        calls.append(arguments)
        if act == "posix_fallocate" or len(calls) == 2:
            raise KeyboardInterrupt
        real(*arguments)

    real = getattr(LocalStorage if act == "delete" else os, act)
    monkeypatch.setattr(LocalStorage if act == "delete" else os, act, vanish)
    with pytest.raises(KeyboardInterrupt):
        store.prepare()
    monkeypatch.undo()
    assert store.missing() == [0, 1, 2]
    store.prepare()
    assert store.missing() == [0, 1, 2]


def test_a_damaged_chunk_is_found_and_discarded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = filled(tmp_path)
    assert store.discard_damaged() == []
    for row in (0, 9):
        with (store.folder / "a.bin").open("r+b") as file:
            file.seek(row * 24 + 5)
            file.write(b"\x7e")
    monkeypatch.setattr(arrays, "_VERIFIED_BYTES", store.total_bytes - 1)
    assert store.discard_damaged() == [2], "of a large store the last chunk"
    assert store.missing() == [2]
    monkeypatch.undo()
    assert store.discard_damaged() == [0]
    assert store.missing() == [0, 2]


def test_is_prepared(tmp_path: Path) -> None:
    assert not ChunkedArrays(tmp_path / "store", SPECS, 10, 4).is_prepared
    assert made(tmp_path).is_prepared


def test_wrong_shapes_are_refused(tmp_path: Path) -> None:
    store = made(tmp_path)
    with pytest.raises(ValueError, match=r"a: expected \(4, 3, 2\), found \(2, 3, 2\)"):
        store.write(0, rows_of(range(2)))
    assert store.missing() == [0, 1, 2]


def test_reading_cannot_change_the_files(tmp_path: Path) -> None:
    store = made(tmp_path)
    for chunk in store.missing():
        store.write(chunk, rows_of(store.rows_of(chunk)))
    with pytest.raises(ValueError, match="read-only"):
        store.open()["b"][0] = 9
    private = store.open(private=True)["b"]
    private[0] = 9
    assert store.open()["b"][0] == 0


def test_who_prepares_second_keeps_the_chunks_of_the_first(tmp_path: Path) -> None:
    """Two devices would choose chunks of different sizes; marks of one must not count for the other."""
    small, large = (ChunkedArrays(tmp_path / "store", SPECS, 10, rows) for rows in (2, 8))
    small.prepare()
    large.prepare()
    small.write(0, rows_of(small.rows_of(0)))
    assert large.chunks == 5
    assert large.missing() == [1, 2, 3, 4]


def test_other_arrays_in_the_folder_are_refused(tmp_path: Path) -> None:
    made(tmp_path)
    with pytest.raises(DamagedRecordError, match="holds other arrays"):
        ChunkedArrays(tmp_path / "store", SPECS, 11, 4).prepare()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"rows": 1}', b'{"rows": 1, "chunk_rows": 1, "arrays": [1]}'])
def test_a_damaged_description(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "arrays.json").write_bytes(content)
    with pytest.raises(DamagedRecordError, match=r"arrays\.json"):
        ChunkedArrays.load(tmp_path)
    with pytest.raises(FileNotFoundError):
        ChunkedArrays.load(tmp_path / "none")


@pytest.mark.parametrize(
    ("number", "cause"), [(errno.ENOSPC, "no space left"), (errno.EDQUOT, "no space left"), (errno.EIO, "Input/output")]
)
def test_a_full_disk_is_met_when_the_space_is_reserved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, cause: str
) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "posix_fallocate", refuse)
    store = ChunkedArrays(tmp_path / "store", SPECS, 10, 4)
    with pytest.raises(StorageError, match=cause) as raised:
        store.prepare()
    assert "--cache DIR" in raised.value.advice
    with pytest.raises(FileNotFoundError):
        ChunkedArrays.load(store.folder)
    monkeypatch.undo()
    store.prepare()
    assert store.missing() == [0, 1, 2]


def test_a_file_size_limit_acts_as_a_full_disk(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
        with pytest.raises(StorageError, match="cannot reserve") as raised:
            made(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert "--cache DIR" in raised.value.advice


def test_a_cache_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match="cannot make") as raised:
        ChunkedArrays(tmp_path / "file" / "store", SPECS, 10, 4).prepare()
    assert "--cache DIR" in raised.value.advice


def test_a_failed_write_leaves_the_chunk_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = made(tmp_path)

    def refuse(*_: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", refuse)
    with pytest.raises(StorageError, match="No space left") as raised:
        store.write(0, rows_of(range(4)))
    assert "--cache DIR" in raised.value.advice
    assert store.missing() == [0, 1, 2]


def test_short_writes_are_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda descriptor, view, offset: real(descriptor, view[:5], offset))
    store = made(tmp_path)
    store.write(1, rows_of(store.rows_of(1)))
    monkeypatch.undo()
    assert np.array_equal(store.open()["a"][4:8], rows_of(range(4, 8))["a"])
    assert store.verify(1)


WRITER = """
import sys
from pathlib import Path
import numpy as np
from trainables.features.arrays import ArraySpec, ChunkedArrays
store = ChunkedArrays(Path(sys.argv[1]), [ArraySpec("a", (50,), "int64")], 400, 4)
store.prepare()
for chunk in store.missing()[:: int(sys.argv[2])]:
    rows = np.asarray(store.rows_of(chunk))
    store.write(chunk, {"a": np.repeat(rows[:, None], 50, axis=1)})
"""


def test_two_processes_and_a_kill(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITER, str(tmp_path / "store")]
    writers = [subprocess.Popen([*command, step], cwd=ROOT) for step in ("1", "-1")]
    marks = tmp_path / "store" / "chunks"
    while not marks.is_dir() or len(list(marks.iterdir())) < 5:
        assert any(writer.poll() is None for writer in writers)
    writers[0].kill()
    for writer in writers:
        writer.wait()
    subprocess.run([*command, "1"], cwd=ROOT, check=True)
    store = ChunkedArrays.load(tmp_path / "store")
    assert store.missing() == []
    assert all(store.verify(chunk) for chunk in range(store.chunks))
    assert np.array_equal(store.open()["a"], np.repeat(np.arange(400)[:, None], 50, axis=1))
