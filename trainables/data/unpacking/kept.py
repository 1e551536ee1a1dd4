"""Folders of the cache that were unpacked: made whole or not at all, by one process at a time, and looked at again."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from orchestrator.store.errors import InputError
from orchestrator.store.storage import TEMPORARY_PREFIX
from trainables.data.formats import is_left_behind
from trainables.data.unpacking.contents import BLOCK_BYTES, Contents
from trainables.data.unpacking.said import Show, Slowly, gigabytes

FILES, RECORD = "files", "unpacked.json"
_VERSION = 1
"""Of what is written of equal sources; folders of another one are made anew."""
_MARGIN_BYTES = 500_000_000
"""What stays free on the disk."""


def kept_folder(place: Path, name: str, digest: str, look: Callable[[], Contents], show: Show) -> Path:
    """The folder `place/name/files` with all that `look` finds; made unless it is there and whole.

    It is written beside its name and renamed when all of it is there, so a process that is killed leaves nothing that
    counts; what it left is deleted by the next. Of several processes one writes and the others wait.

    Raises InputError of `look`, and where the disk does not hold it; OSError.
    """
    target = place / name
    if _is_whole(target, digest):
        return target / FILES
    place.mkdir(parents=True, exist_ok=True)
    with _alone(place / f"{name}.lock", show):
        if _is_whole(target, digest):
            return target / FILES
        for left in place.glob(f"{TEMPORARY_PREFIX}{name}-*"):
            shutil.rmtree(left, ignore_errors=True)
        contents = look()
        _check_room(place, contents)
        show(f"Unpacking {contents.files:,} files, {gigabytes(contents.size)}, into {target}.")
        for note in contents.notes:
            show(f"Note: {note}")
        temporary = place / f"{TEMPORARY_PREFIX}{name}-{uuid.uuid4().hex}"
        try:
            (temporary / FILES).mkdir(parents=True)
            contents.write(temporary / FILES, Slowly(show, "unpacked", contents.size))
            count, size = _measured(temporary / FILES)
            record = {"version": _VERSION, "sha256": digest, "files": count, "bytes": size}
            (temporary / RECORD).write_text(json.dumps(record))
            _put(temporary, target, digest)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    return target / FILES


def _is_whole(folder: Path, digest: str) -> bool:
    """Whether what was unpacked is still there: caches are cleaned by age, file by file."""
    try:
        record = json.loads((folder / RECORD).read_bytes())
        said = {"version": _VERSION, "sha256": digest}
        if not isinstance(record, dict) or {name: record.get(name) for name in said} != said:
            return False
        return _measured(folder / FILES) == (record["files"], record["bytes"])
    except (OSError, ValueError, KeyError):
        return False


def _measured(folder: Path) -> tuple[int, int]:
    """How many files and folders there are, and the bytes of the files; what systems leave behind is not counted."""
    count = size = 0
    for inside, folders, files in os.walk(folder):
        kept = [file for file in files if not is_left_behind(file)]
        count += len(folders) + len(kept)
        size += sum((Path(inside) / file).stat().st_size for file in kept)
    return count, size


def _put(temporary: Path, target: Path, digest: str) -> None:
    """Give it its name; what has that and is not whole goes out of the way."""
    if target.exists() and not _is_whole(target, digest):
        target.rename(temporary / "before")
    try:
        temporary.rename(target)
    except OSError:
        if not _is_whole(target, digest):  # where there are no locks, another process may have been faster
            raise
    shutil.rmtree(target / "before", ignore_errors=True)


def _check_room(place: Path, contents: Contents) -> None:
    free = shutil.disk_usage(place).free
    needed = contents.size + contents.files * BLOCK_BYTES
    faults = []
    if needed + _MARGIN_BYTES > free:
        faults.append(f"{gigabytes(needed)} and {gigabytes(_MARGIN_BYTES)} to spare (free: {gigabytes(free)})")
    disk = os.statvfs(place)
    if disk.f_files and contents.files > disk.f_favail:
        faults.append(f"{contents.files:,} files (the disk takes {disk.f_favail:,} more)")
    if faults:
        raise InputError(
            f"{contents.subject}: unpacking it into {place} needs {' and '.join(faults)}",
            "Free some space, or name a folder on another disk: --cache DIR. Nothing was unpacked.",
        )


@contextmanager
def _alone(lock: Path, show: Show) -> Iterator[None]:
    """Hold the lock; it ends with its process. A file system without locks is used without that assurance."""
    with lock.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            show("Another process is unpacking the same data: waiting for it.")
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError:
            pass
        yield
