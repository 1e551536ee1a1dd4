"""Moving a finished file to its name unless something is there already, on every kind of local file system.

Three ways, the first that the file system knows: a hard link; a rename that refuses to replace; and, where neither
exists (old FAT drivers, many FUSE mounts), a folder. The folder holds the file and is renamed to a name that belongs
to the target. A rename onto a folder that is not empty fails everywhere, so that one creator is decided on at once and
with its content; whoever finds such a folder finishes the move on its behalf. No clock and no time-out is involved: a
creator that is killed or suspended at any step blocks nobody, and what it had decided is completed by the next one.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import functools
import os
import uuid
from collections.abc import Callable
from pathlib import Path

_UNSUPPORTED = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.EMLINK})
_AT_FDCWD = -100
_RENAME_NOREPLACE = 1


def move_exclusively(temporary: Path, target: Path, prefix: str) -> bool:
    """Give the file `temporary`, which lies beside `target`, that name; False when something has it. Raises OSError.

    prefix: how names begin that readers of the folder do not see. `temporary` may be left behind.
    """
    for move in (_linked, _renamed):
        try:
            move(temporary, target)
        except FileExistsError:
            return False
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise
        else:
            return True
    return _by_folder(temporary, target, prefix)


def _linked(temporary: Path, target: Path) -> None:
    os.link(temporary, target)


def _renamed(temporary: Path, target: Path) -> None:
    """Linux's renameat2 with RENAME_NOREPLACE."""
    rename = _renameat2()
    if rename is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    if rename(_AT_FDCWD, os.fsencode(temporary), _AT_FDCWD, os.fsencode(target), _RENAME_NOREPLACE):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(target))


@functools.cache
def _renameat2() -> Callable[..., int] | None:
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):
        return None
    rename.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint]
    rename.restype = ctypes.c_int
    call: Callable[..., int] = rename
    return call


def _by_folder(temporary: Path, target: Path, prefix: str) -> bool:
    own = target.parent / f"{prefix}{uuid.uuid4().hex}"
    decided = target.parent / f"{prefix}of-{target.name}"
    own.mkdir()
    try:
        temporary.rename(own / temporary.name)
        while not _renamed_onto_empty(own, decided):
            if _is_taken(decided, target):
                return False
    finally:
        with contextlib.suppress(OSError):  # it is gone when it was renamed
            (own / temporary.name).unlink(missing_ok=True)
            own.rmdir()
    content = decided / temporary.name
    try:
        if target.exists():
            content.unlink()
            return False
        content.rename(target)
    except FileNotFoundError:
        if not target.exists():
            raise
        # somebody who found the folder has moved the file to the target already
    finally:
        _remove(decided)
    return True


def _renamed_onto_empty(own: Path, decided: Path) -> bool:
    try:
        own.rename(decided)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        return False
    return True


def _is_taken(decided: Path, target: Path) -> bool:
    """Finish what was decided before; False when nothing is there any more that could have the name.

    The file is moved by its own name, which was seen before the target was looked for. So a move that comes late finds
    nothing, and never another creator's file.
    """
    with contextlib.suppress(FileNotFoundError):
        contents = list(decided.iterdir())
        if target.exists():
            return True
        for content in contents:
            content.rename(target)
    _remove(decided)
    return target.exists()


def _remove(folder: Path) -> None:
    with contextlib.suppress(OSError):  # the next one's has taken its place
        folder.rmdir()
