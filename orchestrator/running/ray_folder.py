"""Where a private Ray keeps its sockets: in the user's folder of temporary files, unless its path is too long for them.

The path of a socket takes 107 bytes at most. Batch systems give out longer temporary folders.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import ray._common.utils

MOST_BYTES = 107
_utils: Any = ray._common.utils
_BELOW = "/session_2000-01-01_00-00-00_000000_4194304/sockets/plasma_store.00"
"""What Ray puts behind its folder, with the longest number of a process."""
_SHORT = ("/tmp", "/var/tmp", "/dev/shm")


@contextmanager
def ray_folder(tell: Callable[[str], None]) -> Iterator[str | None]:
    """None: Ray's own choice. Else a new folder, of nobody else's and deleted afterwards, and the user told."""
    usual = str(_utils.get_default_ray_temp_dir())
    made = None if _holds_sockets(usual) else _short_folder()
    if made is not None:
        variable = next((name for name in ("RAY_TMPDIR", "TMPDIR") if os.environ.get(name)), "TMPDIR")
        tell(
            f"Note: {variable} is too long a path for Ray's sockets ({len(os.fsencode(usual))} bytes); "
            f"they lie in {made}."
        )
    try:
        yield made
    finally:
        if made is not None:
            shutil.rmtree(made, ignore_errors=True)


def _holds_sockets(folder: str) -> bool:
    return len(os.fsencode(folder + _BELOW)) <= MOST_BYTES


def _short_folder() -> str | None:
    """None where nothing can be made in any of the short places: Ray then says what is wrong with its own."""
    for place in _SHORT:
        try:
            return tempfile.mkdtemp(prefix="ray-", dir=place)
        except OSError:
            continue
    return None
