"""What an archive or a stack of arrays holds, seen before anything of it is written."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Protocol

from orchestrator.store.errors import InputError

CHUNK_BYTES = 1 << 20
MOST_FILES = 2_000_000
"""Files and folders of one archive, or images of one stack; a file takes about 1.3 kB of memory."""
MOST_BYTES = 2 * 10**12
"""Of all files of one archive, unpacked."""
BLOCK_BYTES = 4096
"""What a file takes at least on most disks."""

Wrote = Callable[[int], None]
"""Is told after every piece how many bytes of the contents are dealt with by it."""


class Contents(Protocol):
    """What is known of a source before it is written: its faults are told by then.

    subject: how faults name it. files: how many are written, folders among them. size: bytes of all of them, as they
    say. notes: how it was read, for the user.
    """

    @property
    def subject(self) -> str: ...
    @property
    def files(self) -> int: ...
    @property
    def size(self) -> int: ...
    @property
    def notes(self) -> tuple[str, ...]: ...
    def write(self, folder: Path, wrote: Wrote) -> None:
        """Write everything below `folder`, which is empty; never more than `size`. Raises InputError where the source
        is damaged or holds more than it says, and OSError."""
        ...


def pieces(file: IO[bytes]) -> Iterator[bytes]:
    """The rest of a file in pieces of at most CHUNK_BYTES."""
    while piece := file.read(CHUNK_BYTES):
        yield piece


def digest_of(paths: Sequence[Path], read: Wrote) -> str:
    """SHA-256 (64 hex digits) over the bytes of one file, or over names and bytes of several, whose names say what they
    are."""
    digests = list[bytes]()
    for path in paths:
        digest = hashlib.sha256()
        with path.open("rb") as file:
            for piece in pieces(file):
                digest.update(piece)
                read(len(piece))
        digests.append(digest.digest())
    if len(paths) == 1:
        return digests[0].hex()
    names = [hashlib.sha256(os.fsencode(path.name)).digest() for path in paths]
    return hashlib.sha256(b"".join([*names, *digests])).hexdigest()


def damaged(subject: str, error: BaseException | str) -> InputError:
    """What reading ends with when a file is not what it should be."""
    what = str(error) or type(error).__name__
    return InputError(f"{subject}: cannot be read to its end: {what}", "Copy or download it again.")
