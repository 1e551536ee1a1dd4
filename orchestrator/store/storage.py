"""The storage contract: five methods, and their form on a file system.

Paths are relative, with forward slashes, and never leave the root. There is one atomic write in the project and it is
here: a temporary file beside the target, flush, fsync, then link (exclusive) or rename (replace), then fsync of the
folder. A reader therefore sees a whole file or none. Temporaries left by a killed writer are ignored by `list` and
swept by the next search once they are an hour old.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
import uuid
from pathlib import Path, PurePosixPath
from typing import Protocol

from orchestrator.store.errors import MissingFileError, StorageError
from orchestrator.store.exclusive import move_exclusively

TEMPORARY_PREFIX = ".tmp-"
TEMPORARY_MAX_AGE_S = 3600.0


class Storage(Protocol):
    """Where a study lives. Thread-safe; any number of processes on any number of machines may share one."""

    def read(self, path: str) -> bytes:
        """Return the whole content; raise FileNotFoundError when there is no such file."""
        ...

    def list(self, folder: str) -> list[str]:
        """Return the sorted names of files and folders directly in `folder`; [] when it does not exist."""
        ...

    def create(self, path: str, content: bytes) -> bool:
        """Write `content` if nothing is there yet; return whether this call was the one that created it."""
        ...

    def replace(self, path: str, content: bytes) -> None:
        """Write `content` atomically, over whatever was there."""
        ...

    def delete(self, path: str) -> None:
        """Remove a file; nothing happens when there is none."""
        ...


def checked_path(path: str) -> PurePosixPath:
    """A path of a study, as its parts; raises ValueError for one that would leave the root."""
    parts = PurePosixPath(path)
    if parts.is_absolute() or ".." in parts.parts or "\x00" in path:
        raise ValueError(f"{path!r} is not a path inside the study")
    return parts


class LocalStorage:
    """A study in a folder of a local or network file system, by the operating system's own calls."""

    def __init__(self, root: Path) -> None:
        self.root = Path(root)

    def __repr__(self) -> str:
        return f"LocalStorage({str(self.root)!r})"

    def local(self, path: str) -> Path:
        """The file's place on this machine; raises ValueError for a path that would leave the root."""
        return Path(self._place(path))

    def _place(self, path: str) -> str:
        """The same as text: making a Path takes as long as opening a small file."""
        if path.startswith("/") or "\x00" in path or ".." in path:
            checked_path(path)
        return f"{self.root}/{path}"

    def read(self, path: str) -> bytes:
        try:
            with open(self._place(path), "rb", buffering=0) as file:  # noqa: PTH123
                return file.readall()
        except (FileNotFoundError, NotADirectoryError):
            raise MissingFileError(path) from None
        except OSError as error:
            raise _storage_error("read", self.local(path), error) from error

    def list(self, folder: str) -> list[str]:
        try:
            with os.scandir(self._place(folder)) as entries:
                return sorted(entry.name for entry in entries if not entry.name.startswith(TEMPORARY_PREFIX))
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise _storage_error("list", self.local(folder), error) from error

    def create(self, path: str, content: bytes) -> bool:
        target = self.local(path)
        if os.path.lexists(target):
            return False
        temporary = self._written_beside(target, content)
        try:
            created = move_exclusively(temporary, target, TEMPORARY_PREFIX)
        except OSError as error:
            raise _storage_error("write", target, error) from error
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
        _sync_folder(target.parent)
        return created

    def replace(self, path: str, content: bytes) -> None:
        target = self.local(path)
        temporary = self._written_beside(target, content)
        try:
            temporary.replace(target)
        except OSError as error:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise _storage_error("write", target, error) from error
        _sync_folder(target.parent)

    def delete(self, path: str) -> None:
        target = self.local(path)
        try:
            target.unlink(missing_ok=True)
        except OSError as error:
            raise _storage_error("delete", target, error) from error

    def _written_beside(self, target: Path, content: bytes) -> Path:
        temporary = target.parent / f"{TEMPORARY_PREFIX}{uuid.uuid4().hex}"
        try:
            if not target.parent.is_dir():
                target.parent.mkdir(parents=True, exist_ok=True)
                _sync_folder(target.parent.parent)
            with temporary.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise _storage_error("write", target, error) from error
        return temporary


def sweep_temporaries(folder: Path, max_age_s: float = TEMPORARY_MAX_AGE_S) -> int:
    """Remove temporaries below `folder` that no living writer can still own; return how many."""
    swept = 0
    now = time.time()
    for temporary in sorted(folder.rglob(f"{TEMPORARY_PREFIX}*"), reverse=True):
        with contextlib.suppress(OSError):
            if now - temporary.stat().st_mtime > max_age_s:
                if temporary.is_dir():
                    temporary.rmdir()
                else:
                    temporary.unlink()
                swept += 1
    return swept


def _sync_folder(folder: Path) -> None:
    """Make a rename durable; file systems that cannot sync a folder are left to their own guarantees."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        with contextlib.suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _storage_error(act: str, target: Path, error: OSError) -> StorageError:
    causes = {
        errno.ENOSPC: ("no space left on the device", "Free some space, then run the same command again."),
        errno.EDQUOT: ("the disk quota is used up", "Free some space, then run the same command again."),
        errno.EROFS: ("the file system is read-only", "Choose another place with --studies DIR."),
        errno.EACCES: ("permission denied", "Choose another place with --studies DIR, or change the permissions."),
        errno.EISDIR: ("a folder lies where a file should", "Remove it, or choose another place with --studies DIR."),
        errno.EFBIG: (
            "the file would be larger than is allowed here",
            "Raise the limit (ulimit -f), then run it again.",
        ),
        errno.EPERM: ("permission denied", "Choose another place with --studies DIR, or change the permissions."),
    }
    cause, advice = causes.get(error.errno or 0, (error.strerror or str(error), "Run the same command again."))
    return StorageError(f"cannot {act} {target}: {cause}", advice)
