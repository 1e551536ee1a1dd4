"""What a source lists before any image is decoded."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from orchestrator.store.errors import InputError

SPLIT_WORDS = {
    "train": "train",
    "training": "train",
    "val": "valid",
    "valid": "valid",
    "validation": "valid",
    "dev": "valid",
    "test": "test",
    "testing": "test",
}
"""How users write a split (in any case) → how we do."""
SHOWN = 5
"""How many of many faults of one kind are named."""
_JUNK = frozenset({"__MACOSX", "Thumbs.db", "desktop.ini"})


@dataclass(frozen=True)
class Entry:
    """One image as its source names it. file: posix path relative to the root; label: as written there; group: "" where
    the source does not say; split: "" or train, valid, test; extra: the user's other columns."""

    file: str
    label: str
    group: str = ""
    split: str = ""
    extra: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Listing:
    """root: resolved folder that files are relative to. refused: (file, reason) of images that count as refused; other:
    the same for files that were never meant as images, which are listed and do not count. group_meaning: "" where the
    source does not say groups. columns: the header of the table, () for class folders. notes: how what could be read in
    several ways was read, for the user."""

    subject: str
    root: Path
    entries: Sequence[Entry]
    refused: Sequence[tuple[str, str]] = ()
    other: Sequence[tuple[str, str]] = ()
    group_meaning: str = ""
    columns: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def named(items: Sequence[str]) -> str:
    """The first few of `items` as text, with the number of the others."""
    text = ", ".join(repr(item) for item in items[:SHOWN])
    return text if len(items) <= SHOWN else f"{text} and {len(items) - SHOWN} more"


def files_below(folder: Path) -> Iterator[tuple[PurePosixPath, str]]:
    """Every file below `folder` in sorted order: (path relative to it, why it is passed over or "").

    Hidden files and what desktops leave behind are skipped. Links to folders are not followed. A folder that cannot be
    read raises InputError: its images must not be missing in silence.
    """

    def unreadable(error: OSError) -> None:
        raise InputError(f"{error.filename}: the folder cannot be read: {error.strerror}", "Change its permissions.")

    for place, folders, files in os.walk(folder, onerror=unreadable):
        folders[:] = sorted(name for name in folders if not _hidden(name))
        relative = PurePosixPath(Path(place).relative_to(folder).as_posix())
        for name in folders:
            if (Path(place) / name).is_symlink():
                yield relative / name, "link to a folder: links to folders are not followed"
        for name in sorted(files):
            if not _hidden(name):
                yield relative / name, _fault_of_name(name) or _fault_of_kind(Path(place) / name)


def outside(root: Path, path: Path) -> bool:
    """Whether `path`, links followed, lies outside `root` (which is resolved)."""
    return not path.resolve().is_relative_to(root)


def printable(name: str) -> str:
    """A file name as text that any file and terminal can take."""
    return name.encode("utf-8", "backslashreplace").decode()


def _hidden(name: str) -> bool:
    return name.startswith(".") or name in _JUNK


def _fault_of_name(name: str) -> str:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return "file name: not valid UTF-8"
    return ""


def _fault_of_kind(path: Path) -> str:
    return "" if path.is_file() else "not a file: a device, pipe or broken link"
