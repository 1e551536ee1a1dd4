"""Which level of folders is the patient's: not one whose names recur below many others (40X, 100X; left, right)."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from trainables.data.listing import Entry, named
from trainables.data.spellings import plain
from trainables.data.split_words import split_of

PERSONS = "patient|pat|case|subject|subj|sub|donor|person|animal|mouse|pt"
"""Words before the number of whom images are of."""
_PATIENT = re.compile(rf"({PERSONS})[ _-]*(id|no|nr)?[ _-]*\d\w*|({PERSONS})[ _-]+[a-z]{{1,3}}[ _-]?\d\w*")
_MAGNIFICATION = re.compile(r"x ?\d{1,4}([.,]\d+)?|\d{1,4}([.,]\d+)? ?x|mag\D{0,12}\d{1,4}x?")


@dataclass(frozen=True)
class Level:
    """A level of folders whose files are in several groups. up: how many levels above the file's own folder.

    folders: names on the level. below: names that recur in these folders, () where the level is known by its own names.
    torn: of how many folders files are in several groups. example: one of them.
    """

    up: int
    folders: tuple[str, ...]
    below: tuple[str, ...]
    torn: int
    example: str

    @property
    def pattern(self) -> str:
        """The rule that takes the folders of this level as groups."""
        return "([^/]+)" + "/[^/]+" * self.up + "$"

    def told(self) -> str:
        return f"{len(self.folders)} folders such as {self.example!r}{self._below()}"

    def warning(self, groups: int, names: bool = True) -> str:
        """For the user who chose a rule that divides these folders; without names of folders where it is kept."""
        which = f" such as {self.example!r}{self._below()}" if names else ""
        return (
            f"Warning: the {groups} groups divide {self.torn} of {len(self.folders)} folders{which}. If each of these "
            "folders is a patient or slide, its images may lie in both training and test. To "
            f"keep each together: --group-by '{self.pattern}'"
        )

    def _below(self) -> str:
        return f", in which the same names recur ({named(self.below)})" if self.below else ""


def folder_above(entries: Sequence[Entry]) -> Level | None:
    """The level above the files' own folders where the names of those recur, so that they are no patients."""
    return _level(entries, [PurePosixPath(entry.file).parent.name for entry in entries])


def are_magnifications(names: Iterable[str]) -> bool:
    """Whether all names say a magnification (40X, x100, mag_20), which no patient is called."""
    return all(_MAGNIFICATION.fullmatch(plain(name)) for name in names)


def torn_folders(entries: Sequence[Entry]) -> Level | None:
    """The level whose folders the entries' groups divide although names below it, or the groups, recur in many."""
    level = _level(entries, [entry.group for entry in entries])
    above = folder_above(entries)
    if above is not None and (level is None or not level.below):
        return _divided(entries, above.up, [entry.group for entry in entries], above.below) or level
    return level


def _level(entries: Sequence[Entry], groups: Sequence[str]) -> Level | None:
    """The level that `groups` cross: each lies in several folders, and most folders hold several of them."""
    depths = [len(PurePosixPath(entry.file).parts) for entry in entries]
    (depth, _), *_ = Counter(depths).most_common(1)
    groups = [group for group, here in zip(groups, depths, strict=True) if here == depth]
    entries = [entry for entry, here in zip(entries, depths, strict=True) if here == depth]
    crossed = []
    for up in range(1, depth):
        names = _names(entries, up)
        if _is_given(entries, names) or _are_patients_above(entries, up, groups):
            continue
        inside, over = defaultdict[str, set[str]](set), defaultdict[str, set[str]](set)
        for name, group in zip(names, groups, strict=True):
            inside[name].add(group)
            over[group].add(name)
        several = [name for name, held in inside.items() if len(held) > 1]
        recurring = [group for group, held in over.items() if len(held) > 1]
        fewer = len(over) < len(inside) or are_magnifications(over)
        if fewer and 2 * len(several) >= len(inside) and 2 * len(recurring) > len(over):
            crossed.append(Level(up, tuple(sorted(inside)), tuple(sorted(over)), len(several), min(several)))
        elif several and all(_PATIENT.fullmatch(plain(name)) for name in inside):
            crossed.append(Level(up, tuple(sorted(inside)), (), len(several), min(several)))
    return max(crossed, key=lambda level: len(level.folders), default=None)


def _divided(entries: Sequence[Entry], up: int, groups: Sequence[str], below: tuple[str, ...]) -> Level | None:
    inside = defaultdict[str, set[str]](set)
    for entry, group in zip(entries, groups, strict=True):
        parts = PurePosixPath(entry.file).parts
        if len(parts) > up + 1:
            inside[parts[-1 - up]].add(group)
    several = [name for name, held in inside.items() if len(held) > 1]
    return Level(up, tuple(sorted(inside)), below, len(several), min(several)) if several else None


def _names(entries: Sequence[Entry], up: int) -> list[str]:
    return [PurePosixPath(entry.file).parts[-1 - up] for entry in entries]


def _are_patients_above(entries: Sequence[Entry], up: int, groups: Sequence[str]) -> bool:
    """Whether the groups are patients by their names and hold whole folders of this level: slide_1, slide_2 in each."""
    folders = [PurePosixPath(entry.file).parents[up - 1] for entry in entries]
    return len(set(folders)) == len(set(zip(folders, groups, strict=True))) and all(
        _PATIENT.fullmatch(plain(group)) for group in groups
    )


def _is_given(entries: Sequence[Entry], names: Sequence[str]) -> bool:
    """Whether a level says the class, the split or the fold, or nothing: one folder for all."""
    number = len(set(names))
    for said in ([entry.label for entry in entries], [entry.fold for entry in entries]):
        if number == len(set(said)) == len(set(zip(names, said, strict=True))):
            return True
    return number < 2 or all(split_of(name) for name in names)
