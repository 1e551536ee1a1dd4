"""The members of an archive written below a folder, none of them longer than it said."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from orchestrator.store.errors import InputError
from trainables.data.unpacking.contents import Wrote, damaged, pieces
from trainables.data.unpacking.members import Member

Opened = Iterable[tuple[Member, Callable[[], IO[bytes]]]]
"""Members with what opens each, in the order in which they lie in the archive."""


@dataclass(frozen=True)
class Archive:
    """An archive whose members were checked; see `contents.Contents`."""

    path: Path
    subject: str
    members: tuple[Member, ...]
    notes: tuple[str, ...] = ()

    @property
    def files(self) -> int:
        return len(self.members)

    @property
    def size(self) -> int:
        return sum(member.bytes for member in self.members)


def write_members(subject: str, folder: Path, opened: Opened, wrote: Wrote) -> None:
    """Raises InputError where a member is not as long as the archive says, OSError where the disk refuses.

    The size is counted while it is written: what an archive says of itself may be wrong, and is what the disk was
    checked for.
    """
    made = set[Path]()
    for member, opens in opened:
        place = folder / member.path
        parent = place if member.is_folder else place.parent
        if parent not in made:
            parent.mkdir(parents=True, exist_ok=True)
            made.add(parent)
        if not member.is_folder:
            _write(subject, member, place, opens, wrote)


def _write(subject: str, member: Member, place: Path, opens: Callable[[], IO[bytes]], wrote: Wrote) -> None:
    left = member.bytes
    try:
        target = place.open("xb")
    except FileExistsError:
        raise InputError(
            f"{subject}: {member.path} and another file have the same name on this disk, which ignores case or accents",
            "Rename one of them and pack it again.",
        ) from None
    with target, opens() as source:
        for piece in pieces(source):
            left -= len(piece)
            if left < 0:
                raise damaged(subject, f"{member.path} is longer than the {member.bytes:,} bytes that it says")
            target.write(piece)
            wrote(len(piece))
    if left:
        raise damaged(subject, f"{member.path} is {left:,} bytes shorter than it says")
