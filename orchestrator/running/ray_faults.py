"""What keeps a Ray from starting for good, told by its error: no second try would help."""

from __future__ import annotations

import errno
from collections.abc import Iterator

from orchestrator.store.errors import OrchError, first_line

OTHER_FOLDER = "Choose another folder for Ray's files, with a short path: put RAY_TMPDIR=DIR before the same command."
_ADVICE = {
    errno.ENOSPC: f"The disk is full: free space there. {OTHER_FOLDER}",
    errno.EDQUOT: f"Your quota is used up: free space there. {OTHER_FOLDER}",
    errno.EACCES: OTHER_FOLDER,
    errno.EPERM: OTHER_FOLDER,
    errno.EROFS: OTHER_FOLDER,
    errno.ENOENT: OTHER_FOLDER,
    errno.ENOTDIR: OTHER_FOLDER,
    errno.ENAMETOOLONG: OTHER_FOLDER,
    errno.EMFILE: "Raise the limit of open files: ulimit -n 65536",
    errno.ENFILE: "The machine has no file handles left: end programs that hold many, or ask its administrator.",
}
_WORDS = {
    "AF_UNIX path length": OTHER_FOLDER,
    "/dev/shm": "Make it larger (docker run --shm-size=2g), or delete files in it.",
}
"""What a message of Ray's own holds."""


def lasting_fault(error: BaseException) -> OrchError | None:
    """The error for the user, with its real cause; None for what another try may mend."""
    for one in _chain(error):
        if (
            isinstance(one, OSError)
            and one.errno in _ADVICE
            and (one.filename is not None or one.errno != errno.ENOENT)
        ):
            where = f"{one.filename}: " if one.filename is not None else ""
            return OrchError(f"Ray could not be started: {where}{one.strerror}", _ADVICE[one.errno])
        for words, advice in _WORDS.items():
            if words in str(one):
                return OrchError(f"Ray could not be started: {first_line(one)}", advice)
    return None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
