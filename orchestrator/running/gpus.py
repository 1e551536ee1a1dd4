"""Searches on one machine share no GPU: each holds a lock per GPU for as long as it runs, and takes free ones only.

Locks are files in the user's runtime folder, held with flock, so that they end with their process however it ends. They
are named by the GPU's own identity: batch systems give every job a GPU that it calls number 0.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO

from trainables.machine.places import default_cache

WAIT_S = 2.0
_VISIBLE = "CUDA_VISIBLE_DEVICES"
_ORDER = "CUDA_DEVICE_ORDER"


def runtime_folder() -> Path:
    """`$XDG_RUNTIME_DIR/orch`, else `run` in the cache."""
    given = os.environ.get("XDG_RUNTIME_DIR")
    if given and os.access(given, os.W_OK):
        return Path(given) / "orch"
    return default_cache() / "run"


def gpus_here() -> dict[str, str]:
    """Number → identity of the GPUs that this process may see, as NVIDIA's own tool lists them; {} without it."""
    query = ["nvidia-smi", "--query-gpu=index,uuid", "--format=csv,noheader"]
    try:
        told = subprocess.run(query, capture_output=True, text=True, timeout=30, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return {}
    rows = [line.split(",") for line in told.splitlines()]
    return {row[0].strip(): row[1].strip() for row in rows if len(row) == 2 and row[0].strip().isdecimal()}


def visible_gpus(here: Mapping[str, str]) -> dict[str, str]:
    """What `CUDA_VISIBLE_DEVICES` leaves of them, in its words → identity; as CUDA reads it, up to one unknown."""
    told = os.environ.get(_VISIBLE)
    if told is None:
        return dict(here)
    visible: dict[str, str] = {}
    for word in (part.strip() for part in told.split(",")):
        identity = here.get(word) or next((whole for whole in here.values() if word and whole.startswith(word)), None)
        if identity is None and not word.startswith("MIG-"):
            break
        visible[word] = identity or word
    return visible


@contextlib.contextmanager
def own_gpus(
    say: Callable[[str], None],
    is_interrupted: Callable[[], bool],
    listed: Callable[[], Mapping[str, str]] = gpus_here,
    wait_s: float = WAIT_S,
) -> Iterator[None]:
    """Hold every visible GPU that no other search of this user holds, and show this process and its children no other.

    Waits until one is free, or until the interruption. Nothing happens where there is no GPU, and where locks cannot be
    had (a folder that cannot be written) the search goes on with all of them, and says so.
    """
    visible = visible_gpus(listed())
    if not visible:
        yield
        return
    former = {name: os.environ.get(name) for name in (_VISIBLE, _ORDER)}
    with contextlib.ExitStack() as held:
        try:
            mine = _taken(visible, held, say, is_interrupted, wait_s)
        except OSError as error:
            say(f"Note: GPUs are not locked against other searches: {error}")
            mine = list(visible)
        if len(mine) < len(visible):
            os.environ[_VISIBLE] = ",".join(mine)
            if former[_VISIBLE] is None:
                os.environ[_ORDER] = "PCI_BUS_ID"  # the order in which they were numbered
            if mine:
                say(f"Other searches use {len(visible) - len(mine)} of {len(visible)} GPUs; this one uses the rest.")
        try:
            yield
        finally:
            for name, value in former.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value


def _taken(
    visible: Mapping[str, str],
    held: contextlib.ExitStack,
    say: Callable[[str], None],
    is_interrupted: Callable[[], bool],
    wait_s: float,
) -> list[str]:
    """Those that could be locked, at least one unless it was interrupted; `held` lets go of them."""
    folder = runtime_folder()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    told = False
    while not is_interrupted():
        mine = []
        for word, identity in visible.items():
            lock = _lock(folder / f"gpu-{re.sub('[^A-Za-z0-9-]', '_', identity)}.lock")
            if lock is not None:
                held.enter_context(lock)
                mine.append(word)
        if mine:
            return mine
        if not told:
            told = True
            say("Other searches use all GPUs of this machine; waiting for a free one (Ctrl-C stops waiting).")
        time.sleep(wait_s)
    return []


def _lock(path: Path) -> IO[bytes] | None:
    """The file, locked until it is closed; None while somebody else holds it. Raises OSError without locks."""
    file = path.open("ab")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    except OSError:
        file.close()
        raise
    return file
