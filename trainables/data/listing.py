"""What a source lists before any image is decoded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from orchestrator.store.errors import Faults, InputError
from trainables.data.formats import is_left_behind

SHOWN = 5
"""How many of many faults of one kind are named."""
OUT_OF_ROOT = "outside the data root: the link leads out of it"


@dataclass(frozen=True)
class Entry:
    """One image as its source names it. file: posix path relative to the root; label: as written there; group: "" where
    the source does not say; split: "" or train, valid, test; fold: "" or the name of a fold; extra: the user's other
    columns."""

    file: str
    label: str
    group: str = ""
    split: str = ""
    fold: str = ""
    extra: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Listing:
    """root: resolved folder that files are relative to. refused: (file, reason) of images that count as refused; other:
    the same for files that were never meant as images, which are listed and do not count. group_meaning: "" where the
    source does not say groups. columns: the header of the table, () for class folders. notes: how what could be read in
    several ways was read, for the user. warnings: those of the notes that stay with a study, without names. faults:
    what is wrong with its rows, and advice on it; whoever lists raises them, with what else is wrong. What a fault
    leaves unknown of an entry is "". unclear: what columns were asked for and not found, see `columns`."""

    subject: str
    root: Path
    entries: Sequence[Entry]
    refused: Sequence[tuple[str, str]] = ()
    other: Sequence[tuple[str, str]] = ()
    group_meaning: str = ""
    columns: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()
    advice: tuple[str, ...] = ()
    unclear: frozenset[str] = frozenset()

    def as_faults(self) -> Faults:
        """Its faults, for others to be added."""
        faults = Faults(self.subject)
        faults.extend(self.faults)
        for advice in self.advice:
            faults.advise(advice)
        return faults


def named(items: Sequence[str]) -> str:
    """The first few of `items` as text, with the number of the others."""
    text = ", ".join(repr(item) for item in items[:SHOWN])
    return text if len(items) <= SHOWN else f"{text} and {len(items) - SHOWN} more"


def files_below(folder: Path, root: Path) -> Iterator[tuple[PurePosixPath, str]]:
    """Every file below `folder` in sorted order: (path relative to it, why it is passed over or "").

    Hidden files and what systems leave behind are skipped. Links to folders are followed inside `root` (resolved), each
    of these folders once; others come as a path with their fault. A folder that cannot be read raises InputError: its
    images must not be missing in silence.
    """
    linked = set[Path]()

    def below(relative: PurePosixPath, holding: frozenset[Path]) -> Iterator[tuple[PurePosixPath, str]]:
        place = folder / relative
        try:
            entries = sorted(place.iterdir())
        except OSError as error:
            raise InputError(
                f"{place}: the folder cannot be read: {error.strerror}", "Change its permissions."
            ) from error
        for path in entries:
            name = relative / path.name
            if is_left_behind(path.name):
                continue
            if not path.is_dir():
                yield name, _fault_of_name(path.name) or _fault_of_kind(path)
                continue
            real = path.resolve()
            if path.is_symlink():
                if fault := _fault_of_link(root, real, holding, linked):
                    yield name, fault
                    continue
                linked.add(real)
            yield from below(name, holding | {real})

    yield from below(PurePosixPath(), frozenset({folder.resolve()}))


def _fault_of_link(root: Path, real: Path, holding: frozenset[Path], linked: set[Path]) -> str:
    if not real.is_relative_to(root):
        return OUT_OF_ROOT
    if any(held.is_relative_to(real) for held in holding):
        return "link to a folder: it leads back to a folder that holds it"
    return "link to a folder: another link leads to it as well" if real in linked else ""


def outside(root: Path, path: Path) -> bool:
    """Whether `path`, links followed, lies outside `root` (which is resolved)."""
    return not path.resolve().is_relative_to(root)


def printable(name: str) -> str:
    """A file name as text that any file and terminal can take."""
    return name.encode("utf-8", "backslashreplace").decode()


def _fault_of_name(name: str) -> str:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return "file name: not valid UTF-8"
    return ""


def _fault_of_kind(path: Path) -> str:
    return "" if path.is_file() else "not a file: a device, pipe or broken link"
