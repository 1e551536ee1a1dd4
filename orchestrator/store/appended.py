"""Lines that are added to a file and never changed: each is one durable write, and a torn one is passed over.

A writer that is killed leaves at most its last line unfinished, which nobody was told is there. Only file systems of
one machine, or that know locks, can do this.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from orchestrator.store.errors import DamagedRecordError, StorageError
from orchestrator.store.parsing import json_object
from orchestrator.store.storage import LocalStorage


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Nobody else who asks for `path` in this way goes on meanwhile; the file is made where there is none."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NONBLOCK, 0o644)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}", "Change its permissions.") from error
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise StorageError(f"cannot write {path}: it is no file", "Remove it.")
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def append(path: Path, record: dict[str, Any]) -> None:
    """Add one JSON object as a line; it is on the disk when this returns."""
    line = json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
    try:
        with path.open("ab+") as file:
            if file.seek(0, os.SEEK_END):
                file.seek(-1, os.SEEK_END)
                line = line if file.read(1) == b"\n" else b"\n" + line
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}", "Free some space, then do it again.") from error


def appended(path: Path) -> list[dict[str, Any]]:
    """Every whole record, in order; [] where there is no file.

    Raises DamagedRecordError for what is no regular file or larger than it may be, as every read of a storage does.
    """
    entries = []
    with contextlib.suppress(FileNotFoundError):
        for line in LocalStorage(path.parent).read(path.name).split(b"\n"):
            with contextlib.suppress(DamagedRecordError):
                entries.append(json_object(line, path.name))
    return entries
