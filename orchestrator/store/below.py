"""Everything below a folder of a study: listed, weighed, removed."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from typing import Any

from orchestrator.store.errors import StorageError
from orchestrator.store.storage import LocalStorage, Storage


def files_below(storage: Storage, path: str) -> Iterator[str]:
    """Paths of all files in a folder and in those below; the path itself where it is a file."""
    folders = [path]
    while folders:
        folder = folders.pop()
        inner = [f"{folder}/{name}" if folder else name for name in storage.list(folder)]
        folders += reversed(inner)
        if not inner and (
            folder != path or (path and path.rpartition("/")[2] in storage.list(path.rpartition("/")[0]))
        ):
            yield folder


def bytes_below(storage: Storage, path: str) -> int:
    """Of a study on a disk; 0 of one in an object store, which is not asked for sizes."""
    local = on_disk(storage)
    if local is None:
        return 0
    place, size = local.local(path), 0
    for one in [place, *place.rglob("*")]:
        with contextlib.suppress(OSError):
            size += one.lstat().st_size if not one.is_dir() else 0
    return size


def remove_below(storage: Storage, path: str) -> None:
    """Remove a file, or a folder with all that is in it; nothing happens where there is none. Raises StorageError."""
    local = on_disk(storage)
    if local is None:
        for file in [*files_below(storage, path)]:
            storage.delete(file)
        return
    place = local.local(path)
    try:
        if place.is_dir() and not place.is_symlink():
            shutil.rmtree(place)
        else:
            place.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(f"cannot delete {place}: {error.strerror}", "Run the same command again.") from error


def on_disk(storage: Storage) -> LocalStorage | None:
    """The folder that a storage is; None of an object store."""
    inner: Any = storage
    while not isinstance(inner, LocalStorage) and hasattr(inner, "inner"):
        inner = inner.inner
    return inner if isinstance(inner, LocalStorage) else None
