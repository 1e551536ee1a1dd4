"""NumPy's arrays in .npy and .npz files: their headers first, then values piece by piece; nothing is unpickled."""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy

from orchestrator.store.errors import InputError
from trainables.data.unpacking.contents import damaged

DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError)
MOST_LABEL_BYTES = 10**9
"""Of an array that is read whole: labels, groups, not images."""


@dataclass(frozen=True)
class Array:
    """name: as its file or member is called, without .npy. shape, dtype: as its header says. in_columns: whether values
    lie in Fortran's order. opens: the file, at its header."""

    subject: str
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    in_columns: bool
    opens: Callable[[], AbstractContextManager[IO[bytes]]]

    def __str__(self) -> str:
        return f"{self.name!r} ({self.dtype} {' × '.join(map(str, self.shape)) or 'a single value'})"

    @property
    def is_pickled(self) -> bool:
        return self.dtype.hasobject

    @property
    def size(self) -> int:
        """In bytes."""
        return math.prod(self.shape) * self.dtype.itemsize

    def whole(self) -> np.ndarray:
        """All values; for arrays of labels, of MOST_LABEL_BYTES at most. Raises InputError where there are fewer."""
        with self.values() as file:
            values = np.frombuffer(_exactly(self, file, self.size), self.dtype)
        return values.reshape(self.shape, order="F" if self.in_columns else "C")

    def rows(self) -> Iterator[np.ndarray]:
        """The entries along the first axis, one at a time; for arrays in C's order."""
        size = self.size // max(self.shape[0], 1)
        with self.values() as file:
            for _ in range(self.shape[0]):
                yield np.frombuffer(_exactly(self, file, size), self.dtype).reshape(self.shape[1:])
            if file.read(1):
                raise damaged(self.subject, f"array {self.name!r} holds more than its header says")

    @contextmanager
    def values(self) -> Iterator[IO[bytes]]:
        """The file behind its header. What is wrong with it comes as InputError."""
        try:
            with self.opens() as file:
                _header(file)
                yield file
        except DAMAGED as error:
            raise damaged(self.subject, error) from error


def npy_array(path: Path, subject: str) -> Array:
    """Raises InputError for what is no array, OSError."""
    return _array(subject, path.stem, lambda: path.open("rb"))


def npz_arrays(path: Path, subject: str) -> list[Array]:
    """Every array of the file, in its order; other members are passed over. Raises InputError, OSError."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if name.endswith(".npy")]
    except DAMAGED as error:
        raise damaged(subject, error) from error
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(
            f"{subject}: holds array {twice[0]!r} more than once", "Save it again with numpy.savez_compressed"
        )
    return [_array(subject, name.removesuffix(".npy"), partial(_member, path, name)) for name in names]


@contextmanager
def _member(path: Path, name: str) -> Iterator[IO[bytes]]:
    with zipfile.ZipFile(path) as archive, archive.open(name) as file:
        yield file


def _array(subject: str, name: str, opens: Callable[[], AbstractContextManager[IO[bytes]]]) -> Array:
    try:
        with opens() as file:
            shape, in_columns, dtype = _header(file)
    except DAMAGED as error:
        raise damaged(subject, f"array {name!r}: {error}") from error
    return Array(subject, name, shape, dtype, in_columns, opens)


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Raises ValueError."""
    version = npy.read_magic(file)
    if version == (1, 0):
        shape, in_columns, dtype = npy.read_array_header_1_0(file)
    elif version == (2, 0):
        shape, in_columns, dtype = npy.read_array_header_2_0(file)
    else:
        raise ValueError(f"version {version} of the format, expected 1.0 or 2.0")
    if any(side < 0 for side in shape):
        raise ValueError(f"its shape is {shape}")
    return tuple(shape), bool(in_columns) and len(shape) > 1, dtype


def _exactly(array: Array, file: IO[bytes], size: int) -> bytes:
    """So many bytes; a decompressor may give fewer at a time."""
    content = file.read(size)
    while len(content) < size and (more := file.read(size - len(content))):
        content += more
    if len(content) < size:
        raise damaged(array.subject, f"array {array.name!r} is shorter than its header says")
    return content
