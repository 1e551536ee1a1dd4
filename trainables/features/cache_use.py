"""Who uses which folder of the cache, and a budget that is kept by deleting what nobody uses, the longest unused first.

Every search holds a shared lock (flock) on the file `in-use` of each folder of squares or features that it needs; the
lock ends with its process, and the file's time is when it was last taken. Only a folder whose lock is free is deleted.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from orchestrator.store.errors import InputError
from orchestrator.store.storage import TEMPORARY_PREFIX

ROOMS = ("pixels", "features")
MARK = "in-use"
_EVICTED = f"{TEMPORARY_PREFIX}evicted-"


@dataclass(frozen=True)
class _Unneeded:
    """A folder that this search does not need."""

    folder: Path
    used: float
    """When somebody last took it, seconds since the epoch."""
    size: int


class CacheUse:
    """What one search holds of the cache at `cache`; most_bytes: what squares and features of all may take together."""

    def __init__(self, cache: Path, most_bytes: float | None = None) -> None:
        self.cache = cache
        self.most_bytes = most_bytes
        self._held: dict[Path, IO[bytes]] = {}
        self._needs: dict[object, int] = {}

    @property
    def is_limited(self) -> bool:
        return self.most_bytes is not None

    def hold(self, folder: Path) -> None:
        """Nobody deletes the folder from now on. A cache that cannot be written is used without that assurance."""
        with contextlib.suppress(OSError):
            while folder not in self._held:
                try:
                    folder.mkdir(parents=True, exist_ok=True)
                    file = (folder / MARK).open("ab")
                except FileNotFoundError:
                    continue  # deleted in between: made anew
                with contextlib.ExitStack() as closing:
                    closing.enter_context(file)
                    fcntl.flock(file, fcntl.LOCK_SH)
                    if _is_at(file, folder / MARK):
                        os.utime(folder / MARK)
                        self._held[folder] = file
                        closing.pop_all()

    def need(self, what: object, size: int) -> None:
        """Note that the search will need so many bytes for something, whether they are there already or not."""
        self._needs[what] = size
        if not size:
            del self._needs[what]

    def make_room(self) -> None:
        """Delete folders that nobody uses until all that is needed fits beside the others.

        Raises InputError, before anything is deleted, where even that would not do.
        """
        if self.most_bytes is None:
            return
        needed = sum(self._needs.values())
        with contextlib.ExitStack() as locks:
            free, in_use = [], 0
            for other in self._others():
                lock = _alone(other)
                if lock is None:
                    in_use += other.size
                else:
                    free.append((other, locks.enter_context(lock)))
            if needed + in_use > self.most_bytes:
                others = f" beside {_gb(in_use)} that other searches use" if in_use else ""
                raise InputError(
                    f"the cache {self.cache} may hold {_gb(self.most_bytes)}, this search needs {_gb(needed)}{others}",
                    "Give it more with --cache-gb N, search fewer backbones or depths at a time, or name another "
                    "folder with --cache DIR.",
                )
            left = needed + in_use + sum(other.size for other, _ in free)
            for other, _ in sorted(free, key=lambda one: one[0].used):
                if left <= self.most_bytes:
                    break
                _delete(other.folder)
                left -= other.size

    def release(self) -> None:
        """Let go of everything; the folders stay."""
        for file in self._held.values():
            file.close()
        self._held.clear()

    def _others(self) -> Iterator[_Unneeded]:
        for room in ROOMS:
            with contextlib.suppress(FileNotFoundError):
                for folder in sorted((self.cache / room).iterdir()):
                    if folder.name.startswith(_EVICTED):
                        shutil.rmtree(folder, ignore_errors=True)  # of a process that was killed meanwhile
                    elif folder.is_dir() and not folder.is_symlink() and folder not in self._held:
                        mark = folder / MARK
                        used = (mark if mark.exists() else folder).stat().st_mtime
                        yield _Unneeded(folder, used, _size(folder))


def _alone(other: _Unneeded) -> IO[bytes] | None:
    """The folder's lock, held alone; None while somebody uses it."""
    mark = other.folder / MARK
    try:
        is_new = not mark.exists()
        file = mark.open("ab")
        if is_new:
            os.utime(mark, (other.used, other.used))
    except OSError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        return None
    return file


def _is_at(file: IO[bytes], path: Path) -> bool:
    """Whether the open file is still the one at this path."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _delete(folder: Path) -> None:
    """Out of the way first: nobody may find half of it. Who has its files mapped keeps them until they are closed."""
    aside = folder.with_name(f"{_EVICTED}{uuid.uuid4().hex}")
    folder.rename(aside)
    shutil.rmtree(aside, ignore_errors=True)


def _size(folder: Path) -> int:
    """Bytes on the disk."""
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            total += path.lstat().st_blocks * 512
    return total


def _gb(size: float) -> str:
    return f"{size / 1e9:.2f} GB" if size >= 1e7 else f"{size / 1e6:.2f} MB"
