"""Homes that cannot be written, as in containers and on clusters: what would be kept there lies in a private folder.

Libraries keep their caches below `XDG_CACHE_HOME`, `HF_HOME`, `TORCH_HOME` and `MPLCONFIGDIR`. What lies in a home that
can only be read, fetched weights for instance, is read from there as before.
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path

KEPT = {"HF_HOME": "huggingface", "TORCH_HOME": "torch"}
"""Variables of the libraries that fetch weights, and their folders in `~/.cache`."""


def home() -> Path | None:
    """Of this user; None where nothing says it, as for a user without a name in a container."""
    try:
        return Path.home()
    except RuntimeError:
        return None


def can_write(folder: Path | None) -> bool:
    """Whether something can be made in it. Nothing is written."""
    return folder is not None and folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)


def keep_out_of_home(tell: Callable[[str], None]) -> None:
    """Where the home cannot be written, set what says where caches lie, for this process and those that it starts. What
    the user has set is left alone. tell: told once where they lie, when the folder is made."""
    here = home()
    if can_write(here):
        return
    private, is_new = _private_folder()
    cache = os.environ.setdefault("XDG_CACHE_HOME", str(private / "cache"))
    os.environ.setdefault("MPLCONFIGDIR", str(Path(cache) / "matplotlib"))
    for name, folder in KEPT.items():
        if here is not None and (here / ".cache" / folder).is_dir():
            os.environ.setdefault(name, str(here / ".cache" / folder))
    if is_new and cache == str(private / "cache"):
        told = f"the home folder {here} cannot be written" if here is not None else "this user has no home folder"
        tell(
            f"Note: {told}: what is kept between searches is stored in {private} (XDG_CACHE_HOME names another place)."
        )


def _private_folder() -> tuple[Path, bool]:
    """One that nobody else may read, the same for all commands of a user where that can be; whether it is new."""
    usual = Path(tempfile.gettempdir()) / f"orch-{os.getuid()}"
    try:
        usual.mkdir(mode=0o700)
    except FileExistsError:
        status = usual.lstat()
        if stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid() and not status.st_mode & 0o077:
            return usual, False
        return Path(tempfile.mkdtemp(prefix="orch-")), True
    return usual, True
