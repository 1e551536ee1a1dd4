"""The storage contract: six methods, and their form on a file system.

Paths are relative, with forward slashes, and never leave the root. There is one atomic write in the project and it is
here: a temporary file beside the target, flush, fsync, then link (exclusive) or rename (replace), then fsync of the
folder. A reader therefore sees a whole file or none. Temporaries left by a killed writer are ignored by `list` and
swept by the next search once they are an hour old.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import time
import uuid
from pathlib import Path, PurePosixPath
from typing import Protocol

from orchestrator.store.errors import DamagedRecordError, MissingFileError, StorageError
from orchestrator.store.exclusive import move_exclusively
from orchestrator.store.kinds import check_size, check_start, kind_of, most_read

TEMPORARY_PREFIX = ".tmp-"
_FOR_READING = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_START = 1 << 16
_AT_ONCE = 1 << 26
_NO_FILE = {errno.ENXIO: "a socket or device", errno.ENODEV: "a device", errno.ELOOP: "a link to itself"}
_WHAT = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFDIR: "a folder",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}
TEMPORARY_MAX_AGE_S = 3600.0


class Storage(Protocol):
    """Where a study lives. Thread-safe; any number of processes on any number of machines may share one."""

    def read(self, path: str) -> bytes:
        """Return the whole content.

        Raises FileNotFoundError when there is no such file, DamagedRecordError for what is no regular file or larger
        than its kind may be (`orchestrator.store.kinds`); neither is waited for nor taken into memory.
        """
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

    def rename(self, path: str, name: str) -> None:
        """Give what lies at `path` another path, unread, over what was there; nothing happens when there is none."""
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
            descriptor = os.open(self._place(path), _FOR_READING)
        except (FileNotFoundError, NotADirectoryError):
            raise MissingFileError(path) from None
        except OSError as error:
            if error.errno in _NO_FILE:
                raise _no_file(path, _NO_FILE[error.errno]) from None
            raise _storage_error("read", self.local(path), error) from error
        try:
            return self._content(descriptor, path)
        except OSError as error:
            raise _storage_error("read", self.local(path), error) from error
        finally:
            os.close(descriptor)

    def _content(self, descriptor: int, path: str) -> bytes:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise _no_file(path, _WHAT.get(stat.S_IFMT(status.st_mode), "something else"))
        check_size(path, status.st_size, self.read)
        most = most_read(path)
        parts = [os.read(descriptor, min(_START, most + 1))]
        if status.st_size > _START:
            check_start(path, parts[0])
        size = len(parts[0])
        # a file may grow meanwhile, or have said another size
        while parts[-1] and (size < status.st_size or size == _START):
            parts.append(os.read(descriptor, min(_AT_ONCE, most + 1 - size)))
            size += len(parts[-1])
            if size > most:
                raise DamagedRecordError(f"{path}: expected a smaller file, found one that goes on", kind_of(path).back)
        return b"".join(parts) if len(parts) > 1 else parts[0]

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

    def rename(self, path: str, name: str) -> None:
        try:
            self.local(path).replace(self.local(name))
        except FileNotFoundError:
            return
        except OSError as error:
            raise _storage_error("rename", self.local(path), error) from error
        _sync_folder(self.local(path).parent)

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


def _no_file(path: str, kind: str) -> DamagedRecordError:
    return DamagedRecordError(f"{path}: expected a file, found {kind}", kind_of(path).back)


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
