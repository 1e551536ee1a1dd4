"""Where a private Ray keeps its sockets and logs: in the user's folder of temporary files, unless that does not do.

The path of a socket takes 107 bytes at most, and batch systems give out longer temporary folders. Ray's folder may be
another user's, or the disk full.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ray._common.utils

from trainables.machine.home import can_write

MOST_BYTES = 107
_utils: Any = ray._common.utils
_BELOW = "/session_2000-01-01_00-00-00_000000_4194304/sockets/plasma_store.00"
"""What Ray puts behind its folder, with the longest number of a process."""
LEAST_FREE = 100_000_000
"""Bytes, for sockets, logs and small objects."""
_SHORT = ("/tmp", "/var/tmp", "/dev/shm")


@contextmanager
def ray_folder(tell: Callable[[str], None]) -> Iterator[str | None]:
    """None: Ray's own choice. Else a new folder, of nobody else's and deleted afterwards, and the user told."""
    fault = why_not(usual_folder())
    made = short_folder() if fault else None
    if made is not None:
        tell(f"Note: {fault}; Ray's files are in {made}.")
    try:
        yield made
    finally:
        if made is not None:
            shutil.rmtree(made, ignore_errors=True)


def usual_folder() -> str:
    """Ray's own choice."""
    return str(_utils.get_default_ray_temp_dir())


def why_not(folder: str) -> str:
    """Why Ray cannot keep its files there, in words; "" where it can."""
    variable = next((name for name in ("RAY_TMPDIR", "TMPDIR") if os.environ.get(name)), "")
    if len(os.fsencode(folder + _BELOW)) > MOST_BYTES:
        return f"{variable or 'TMPDIR'} is too long a path for Ray's sockets ({len(os.fsencode(folder))} bytes)"
    there = next(place for place in (Path(folder), *Path(folder).parents) if place.exists())
    of = f" ({variable})" if variable else ""
    if not can_write(there):
        return f"Ray's folder {there}{of} is not writable"
    free = shutil.disk_usage(there).free
    return "" if free >= LEAST_FREE else f"the disk of Ray's folder {there}{of} is full ({free / 1e6:.0f} MB free)"


def short_folder() -> str | None:
    """A new one, of nobody else's; None where none can be made in any of the short places: Ray then says what is wrong
    with its own."""
    for place in _SHORT:
        try:
            if shutil.disk_usage(place).free < LEAST_FREE:
                continue
            return tempfile.mkdtemp(prefix="ray-", dir=place)
        except OSError:
            continue
    return None
