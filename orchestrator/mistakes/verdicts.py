"""A reviewed list, read back: what was said of each image, and by what of it labels change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.mistakes.review import COLUMNS, EXCLUDE, KEEP, Listed, ReviewList, kept_list, list_id, lists_of
from orchestrator.results.names import counted
from orchestrator.store.errors import Faults, InputError
from orchestrator.store.storage import Storage
from search_spaces.faults import did_you_mean, nearest
from trainables.data.cells import read_cells

_SHOWN = 5
_NEEDED = COLUMNS[:3]


@dataclass(frozen=True)
class Change:
    """label: the new one, "" of an image that is excluded. why: as the reviewer wrote it, "" where nothing was."""

    listed: Listed
    label: str
    why: str

    @property
    def is_excluded(self) -> bool:
        return not self.label


@dataclass(frozen=True)
class Reviewed:
    """changes: in the order of the list. judged: files with a verdict; others stay as they are."""

    of: ReviewList
    changes: tuple[Change, ...]
    judged: frozenset[str]

    def count(self, suspected: bool) -> tuple[int, int]:
        """Of the suspected images, or of those drawn at random: how many have a verdict, and how many change."""
        judged = sum(row.suspected == suspected for row in self.of.rows if row.file in self.judged)
        return judged, sum(change.listed.suspected == suspected for change in self.changes)


def read_reviewed(storage: Storage, study: str, classes: Sequence[str], path: Path) -> Reviewed:
    """Read a list that the study made and somebody filled in.

    Raises InputError where it is no table, its images or labels are not those of a list of this study, a verdict is
    neither "keep", "exclude" nor a class, or there is none.
    """
    subject = f"reviewed list {path}"
    if not path.is_file():
        raise InputError(f"{subject}: expected a file, found none", f"orch mistakes {study} --review {path} makes one")
    header, rows = read_cells(path, subject, None, [])
    lacking = [name for name in _NEEDED if name not in header]
    if lacking:
        raise InputError(
            f"{subject}: expected the columns {', '.join(_NEEDED)}, found no {' and no '.join(lacking)}",
            "Change only the columns verdict and why.",
        )
    cells = {row["image"].strip(): row for row in rows}
    listed = _list_of(storage, study, subject, [(row["image"].strip(), row["label"].strip()) for row in rows])
    faults, changes, judged = Faults(subject), list[Change](), set[str]()
    for one in listed.rows:
        said = cells[one.file]["verdict"].strip()
        verdict = _verdict(said, classes)
        if verdict is None:
            faults.add(f"{one.file}: verdict {said!r}{did_you_mean(nearest(said, [KEEP, EXCLUDE, *classes]))}")
        elif verdict:
            judged.add(one.file)
            if verdict not in (KEEP, one.label):
                why = cells[one.file].get("why", "").strip()
                changes.append(Change(one, "" if verdict == EXCLUDE else verdict, why))
    faults.raise_if_any(f"Expected {KEEP}, {EXCLUDE}, one of {', '.join(classes)}, or an empty cell without a verdict.")
    if not judged:
        raise InputError(
            f"{subject}: no row has a verdict",
            f"Fill in the column verdict: {KEEP}, {EXCLUDE}, or the class that the image belongs to.",
        )
    return Reviewed(listed, tuple(changes), frozenset(judged))


def _verdict(said: str, classes: Sequence[str]) -> str | None:
    """KEEP, EXCLUDE, the name of a class, "" for none yet; None for another word."""
    known: Mapping[str, str] = {KEEP: KEEP, EXCLUDE: EXCLUDE, "": ""}
    if said in classes:
        return said
    alike = [one for one in classes if one.casefold() == said.casefold()]
    return alike[0] if len(alike) == 1 else known.get(said.casefold())


def _list_of(storage: Storage, study: str, subject: str, rows: Sequence[tuple[str, str]]) -> ReviewList:
    kept = kept_list(storage, list_id(rows))
    if kept is not None:
        return kept
    there = lists_of(storage)
    if not there:
        raise InputError(
            f"{subject}: study {study!r} has not made a list for review",
            f"Make one: orch mistakes {study} --review FILE",
        )
    given = set(rows)
    near = max(there, key=lambda one: len(given & {(row.file, row.label) for row in one.rows}))
    meant = {(row.file, row.label) for row in near.rows}
    lost, new = sorted(meant - given), sorted(given - meant)
    told = [f"{counted(len(lost), 'row')} missing or changed ({_named(lost)})"] if lost else []
    told += [f"{counted(len(new), 'row')} that it does not have ({_named(new)})"] if new else []
    told += ["rows that occur twice"] if not told else []
    raise InputError(
        f"{subject}: expected the images and labels of a list that study {study!r} made; the nearest of "
        f"{len(there)} is {near.id}: {'; '.join(told)}",
        "Change only the columns verdict and why, and keep every row.",
    )


def _named(rows: Sequence[tuple[str, str]]) -> str:
    shown = ", ".join(f"{file} as {label}" for file, label in rows[:_SHOWN])
    return f"{shown} and {len(rows) - _SHOWN} more" if len(rows) > _SHOWN else shown
