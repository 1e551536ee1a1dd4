"""Large arrays on disk, written once in chunks of rows, by any number of processes, resumable and memory-mapped.

A folder holds `arrays.json` (what the arrays are), one raw little-endian file per array at its full size, and one small
mark per finished chunk with a checksum. A chunk counts only when its mark is there; the mark is written after the rows
are on disk, so a kill loses at most the chunk under way. No mark counts while a file is not there at its full size.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from orchestrator.store.errors import DamagedRecordError, StorageError
from orchestrator.store.storage import LocalStorage

_DESCRIPTION = "arrays.json"
_MARKS = "chunks"
_VERIFIED_BYTES = 64_000_000
_ADVICE = "Free some space or name another cache folder with --cache DIR, then run the same command again."


@dataclass(frozen=True)
class ArraySpec:
    """One array of the folder: every row has `shape`."""

    name: str
    shape: tuple[int, ...]
    dtype: str

    @property
    def row_bytes(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64)) * np.dtype(self.dtype).itemsize


class ChunkedArrays:
    """`rows` rows of several arrays in `folder`, in chunks of `chunk_rows`."""

    def __init__(self, folder: Path, specs: Sequence[ArraySpec], rows: int, chunk_rows: int) -> None:
        self.folder = folder
        self.specs = tuple(specs)
        self.rows = rows
        self.chunk_rows = chunk_rows
        self._storage = LocalStorage(folder)

    @property
    def chunks(self) -> int:
        return -(-self.rows // self.chunk_rows)

    @property
    def total_bytes(self) -> int:
        return self.rows * sum(spec.row_bytes for spec in self.specs)

    @property
    def is_prepared(self) -> bool:
        """Whether the folder is described, hence its space was reserved."""
        return self._storage.local(_DESCRIPTION).exists()

    def prepare(self) -> None:
        """Reserve the disk space and write the description; may be called by several processes at once.

        Where another process described the folder first, its chunks are the ones that count, whatever was asked here.
        Where a file was removed or cut short since, all chunks are forgotten: a new file would give zeros for them.
        Raises StorageError, and DamagedRecordError when the folder holds other arrays.
        """
        description = {
            "rows": self.rows,
            "chunk_rows": self.chunk_rows,
            "arrays": [[spec.name, list(spec.shape), spec.dtype] for spec in self.specs],
        }
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"cannot make {self.folder}: {error.strerror or error}", _ADVICE) from error
        if not self._is_whole():
            # Before the files are made: a process killed in between leaves files that still call for it
            for mark in self._storage.list(_MARKS):
                self._storage.delete(f"{_MARKS}/{mark}")
        for spec in self.specs:
            path, size = self._path(spec), self._file_bytes(spec)
            try:
                descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
                try:
                    if os.fstat(descriptor).st_size < size:
                        os.posix_fallocate(descriptor, 0, size)
                finally:
                    os.close(descriptor)
            except OSError as error:
                full = error.errno in (errno.ENOSPC, errno.EDQUOT)
                cause = "no space left" if full else (error.strerror or str(error))
                raise StorageError(f"cannot reserve {size / 1e9:.1f} GB for {path}: {cause}", _ADVICE) from error
        if not self._storage.create(_DESCRIPTION, json.dumps(description).encode()):
            stored = ChunkedArrays.load(self.folder)
            if (stored.rows, stored.specs) != (self.rows, self.specs):
                raise DamagedRecordError(f"{self.folder} holds other arrays than expected", f"Remove {self.folder}.")
            self.chunk_rows = stored.chunk_rows

    def missing(self) -> list[int]:
        """Numbers of the chunks not written yet; all of them where a file is not there at its full size."""
        # The files before the marks: `prepare` removes the marks before it makes a file again
        if not self._is_whole():
            return list(range(self.chunks))
        done = set(self._storage.list(_MARKS))
        return [chunk for chunk in range(self.chunks) if str(chunk) not in done]

    def rows_of(self, chunk: int) -> range:
        return range(chunk * self.chunk_rows, min(self.rows, (chunk + 1) * self.chunk_rows))

    def write(self, chunk: int, arrays: Mapping[str, np.ndarray]) -> None:
        """Store one chunk: each array [rows of the chunk, *shape]. Writing it twice with equal rows is harmless.

        Raises StorageError; the chunk then counts as missing.
        """
        rows = self.rows_of(chunk)
        digest = hashlib.sha256()
        for spec in self.specs:
            block = np.ascontiguousarray(arrays[spec.name], dtype=spec.dtype)
            if block.shape != (len(rows), *spec.shape):
                raise ValueError(f"{spec.name}: expected {(len(rows), *spec.shape)}, found {block.shape}")
            try:
                descriptor = os.open(self._path(spec), os.O_RDWR)
                try:
                    _write_all(descriptor, block, rows.start * spec.row_bytes)
                    os.fsync(descriptor)
                finally:
                    os.close(descriptor)
            except OSError as error:
                cause = error.strerror or str(error)
                raise StorageError(f"cannot write {self._path(spec)}: {cause}", _ADVICE) from error
            digest.update(block.data)
        self._storage.replace(f"{_MARKS}/{chunk}", digest.hexdigest().encode())

    def verify(self, chunk: int) -> bool:
        """Whether the chunk's bytes are those that were written."""
        digest = hashlib.sha256()
        rows = self.rows_of(chunk)
        for array in self.open().values():
            digest.update(np.ascontiguousarray(array[rows.start : rows.stop]).data)
        try:
            return self._storage.read(f"{_MARKS}/{chunk}").decode() == digest.hexdigest()
        except FileNotFoundError:
            return False

    def discard_damaged(self) -> list[int]:
        """Verify what is there and discard what fails; returns the chunks discarded.

        All chunks of a small store, of a large one the last: a file that was cut short and filled up again shows there.
        """
        missing = set(self.missing())
        written = [chunk for chunk in range(self.chunks) if chunk not in missing]
        if self.total_bytes > _VERIFIED_BYTES:
            written = written[-1:]
        damaged = [chunk for chunk in written if not self.verify(chunk)]
        for chunk in damaged:
            self.discard(chunk)
        return damaged

    def discard(self, chunk: int) -> None:
        """Forget a chunk, so that it is computed again."""
        self._storage.delete(f"{_MARKS}/{chunk}")

    def open(self, *, private: bool = False) -> dict[str, np.ndarray]:
        """Memory-map every array, [rows, *shape], read-only; pages are shared between processes.

        With private they count as writable, as torch wants a whole array to be, and a write never reaches the file.
        """
        mode: Literal["c", "r"] = "c" if private else "r"
        return {
            spec.name: np.memmap(self._path(spec), dtype=spec.dtype, mode=mode, shape=(self.rows, *spec.shape))
            for spec in self.specs
        }

    def _path(self, spec: ArraySpec) -> Path:
        return self.folder / f"{spec.name}.bin"

    def _file_bytes(self, spec: ArraySpec) -> int:
        return max(1, self.rows * spec.row_bytes)

    def _is_whole(self) -> bool:
        """Whether every file is there at its full size."""
        try:
            return all(self._path(spec).stat().st_size >= self._file_bytes(spec) for spec in self.specs)
        except FileNotFoundError:
            return False

    @classmethod
    def load(cls, folder: Path) -> ChunkedArrays:
        """Open what `prepare` described; raises FileNotFoundError or DamagedRecordError."""
        content = LocalStorage(folder).read(_DESCRIPTION)
        try:
            description = json.loads(content)
            specs = [ArraySpec(name, tuple(shape), dtype) for name, shape, dtype in description["arrays"]]
            return cls(folder, specs, description["rows"], description["chunk_rows"])
        except (ValueError, KeyError, TypeError) as error:
            raise DamagedRecordError(f"{folder / _DESCRIPTION}: {error}") from error


def _write_all(descriptor: int, block: np.ndarray, offset: int) -> None:
    view = block.data.cast("B") if block.size else memoryview(b"")
    while len(view):
        written = os.pwrite(descriptor, view, offset)
        view, offset = view[written:], offset + written
