"""Which column of a user's table means what: by an option, else by its usual names."""

from __future__ import annotations

import csv
import shlex
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from orchestrator.store.errors import Faults
from trainables.data.options import DatasetOptions
from trainables.data.spellings import group_key, label_key
from trainables.data.split_words import split_flag

FILE_NAMES = (
    *("file", "filename", "file_name", "filepath", "file_path", "path", "image", "images", "image_path", "imagepath"),
    *("image_file", "image_name", "img", "img_path", "img_name"),
)
LABEL_NAMES = (
    *("label", "labels", "class", "classes", "class_name", "classname", "class_label", "target", "diagnosis"),
    *("category", "image_class", "grade"),
)
LEVELS = (
    ("family", "family_id", "familyid"),
    ("patient", "patient_id", "patientid", "subject", "subject_id", "subjectid", "donor", "donor_id", "donorid"),
    ("case", "case_id", "caseid"),
    ("specimen", "specimen_id", "specimenid"),
    ("slide", "slide_id", "slideid"),
)
"""Group columns from what holds the others downwards: a patient has several slides, a slide is of one patient."""
GROUP_NAMES = ("group", "groups", "group_id", "groupid", *(name for names in LEVELS for name in names))
SPLIT_NAMES = ("split", "splits", "set", "fold", "folds", "partition", "subset", "kfold")
_FILE_WORDS = frozenset({"file", "filename", "filepath", "path", "image", "img"})
_LABEL_WORDS = frozenset({"label", "class", "target", "diagnosis", "category"})


@dataclass(frozen=True)
class Columns:
    """Names of columns as the table writes them; group is None where the table has none, split and fold where the user
    named none: which column holds a split is seen from its values, see `split_column`. labels: one, or several where
    each is a class and holds 0 and 1. notes: what was decided between several, for the user. unclear: of "file",
    "label", "group", "split" and "fold" those that are asked for and were not found; they are "", () or None."""

    file: str
    labels: tuple[str, ...]
    group: str | None
    split: str | None
    fold: str | None
    notes: tuple[str, ...] = ()
    unclear: frozenset[str] = frozenset()


Row = Mapping[str, str]
Names = TypeVar("Names", str, tuple[str, ...])


def find_columns(header: Sequence[str], rows: Sequence[Row], options: DatasetOptions, faults: Faults) -> Columns:
    """Find the columns; every one that is missing, ambiguous or unknown is a fault."""
    before, unclear, notes = len(faults.found), set[str](), list[str]()

    def sure(meaning: str, name: Names) -> Names:
        nonlocal before
        if len(faults.found) > before:
            unclear.add(meaning)
        before = len(faults.found)
        return name

    file = sure("file", _column("file", header, options.file_column, FILE_NAMES, _FILE_WORDS, faults))
    labels = sure("label", _label_columns(header, rows, options.label_column, faults))
    group = ""
    if options.group_by is None:
        group = sure("group", _group_column(header, rows, options.group_column, faults, notes))
    elif options.group_column is not None:
        faults.add("--group-by and --group-column were both given, expected one of them")
        sure("group", group)
    asked = None if options.split_column == "none" else options.split_column
    split = sure("split", _column("split", header, asked, (), frozenset(), faults, required=False))
    fold = sure("fold", _column("fold", header, options.fold_column, (), frozenset(), faults, required=False))
    for meaning, name, asked, names in (
        ("file", file, options.file_column, FILE_NAMES),
        ("label", "".join(labels[:1]), options.label_column, LABEL_NAMES),
    ):
        if name and asked is None and plain_name(name) not in names:
            notes.append(
                f"The {meaning} is read from column {name!r}, recognised by part of its name; for another: "
                f"--{meaning}-column NAME"
            )
    taken = [name for name in (file, *labels, group, split, fold) if name]
    for name in sorted({name for name in taken if taken.count(name) > 1}):
        faults.add(f"column {name!r} was given two roles")
    if faults.found:
        faults.advise(f"The table has the columns {', '.join(map(repr, header))}.")
    return Columns(file, labels, group or None, split or None, fold or None, tuple(notes), frozenset(unclear))


def one_hot(rows: Sequence[Row], names: Sequence[str]) -> list[int]:
    """How many 1 each row has in these columns; -1 where a cell is neither 0 nor 1."""
    values = {"0": 0, "1": 1, "false": 0, "true": 1}
    cells = [[values.get(label_key(row[name]), -1) for name in names] for row in rows]
    return [-1 if -1 in row else sum(row) for row in cells]


def _label_columns(header: Sequence[str], rows: Sequence[Row], asked: str | None, faults: Faults) -> tuple[str, ...]:
    if asked is not None and "," in asked and asked not in header:
        parts = [part.strip() for part in next(csv.reader([asked]))]
        columns = [_column("label", header, part, (), frozenset(), faults) for part in parts]
        return tuple(name for name in columns if name)
    tried = Faults("")
    name = _column("label", header, asked, LABEL_NAMES, _LABEL_WORDS, tried)
    faults.extend(f"{fault}{_one_hot_hint(header, rows)}" for fault in tried.found)
    return (name,) if name else ()


def _one_hot_hint(header: Sequence[str], rows: Sequence[Row]) -> str:
    """How to read classes that have a column each, where the table has columns of 0 and 1."""
    taken = (*FILE_NAMES, *GROUP_NAMES, *SPLIT_NAMES)
    names = [name for name in header if name and plain_name(name) not in taken and not split_flag(name)]
    names = [name for name in names if set(one_hot(rows, [name])) == {0, 1}]
    if len(names) < 2:
        return ""
    exact = set(one_hot(rows, names)) == {1}
    told = "hold exactly one 1 in each row; if each is a class" if exact else "hold 0 and 1; if some are a class each"
    return f"; {len(names)} columns {told}: --label-column {shlex.quote(','.join(names))}"


def _group_column(
    header: Sequence[str], rows: Sequence[Row], asked: str | None, faults: Faults, notes: list[str]
) -> str:
    """The column that was asked for; of several usual names the one that holds the others: patients, not slides."""
    usual = [name for name in header if plain_name(name) in GROUP_NAMES]
    if asked is not None:
        # A part of a name is not enough here: "age_group" is no group in our sense.
        name = _column("group", header, asked, GROUP_NAMES, frozenset(), faults)
        for above in usual:
            if name and _level(above) < _level(name) and _holds(rows, above, name) and not _holds(rows, name, above):
                notes.append(
                    f"Warning: --group-column {shlex.quote(name)} may divide one {above} between training and test: "
                    f"one value of {above!r} has several of {name!r}. To keep it together: "
                    f"--group-column {shlex.quote(above)}"
                )
                break
        return name
    levels = sorted(usual, key=_level)
    top, *others = levels or [""]
    same = [name for name in others if _level(name) == _level(top)]
    if not others or _level(levels[-1]) == len(LEVELS) or not all(_holds(rows, name, top) for name in same):
        return _column("group", header, None, GROUP_NAMES, frozenset(), faults, required=False)
    notes.append(
        f"Groups are read from column {top!r}, not from {' or '.join(map(repr, others))}; for another: "
        f"--group-column {shlex.quote(others[0])}"
    )
    across = [name for name in others if not _holds(rows, top, name)]
    if across:
        notes.append(
            f"Warning: one value of {across[0]!r} occurs with several of {top!r}. If it is one {across[0]}, "
            f"not a number within a {top}, training and test may share it."
        )
    return top


def top_columns(header: Sequence[str]) -> list[str]:
    """The columns that say families, patients, cases, specimens or slides by their names, what holds others first."""
    return sorted((name for name in header if _level(name) < len(LEVELS)), key=_level)


def _level(name: str) -> int:
    """0 for the column that holds all others; the number of levels for one that may be anything (`group`)."""
    return next((number for number, names in enumerate(LEVELS) if plain_name(name) in names), len(LEVELS))


def _holds(rows: Sequence[Row], above: str, below: str) -> bool:
    """Whether everything in column `below` lies in one of `above`."""
    parents: defaultdict[str, set[str]] = defaultdict(set)
    for row in rows:
        parents[group_key(row[below])].add(group_key(row[above]))
    return all(len(over) == 1 for below_key, over in parents.items() if below_key)


def _column(
    meaning: str,
    header: Sequence[str],
    asked: str | None,
    names: Sequence[str],
    words: frozenset[str],
    faults: Faults,
    required: bool = True,
) -> str:
    """Name of the one column that is meant; "" where there is none or, with a fault added, more than one."""
    option = f"--{meaning}-column"
    if asked is not None:
        matching = [name for name in header if name == asked] or [
            name for name in header if plain_name(name) == plain_name(asked)
        ]
        if len(matching) != 1:
            faults.add(f"{option} {asked!r}: the table has {'no' if not matching else 'more than one'} such column")
        return matching[0] if len(matching) == 1 else ""
    matching = [name for name in header if plain_name(name) in names]
    if not matching:
        matching = [name for name in header if words & set(plain_name(name).split("_"))]
    if len(matching) > 1:
        choices = " or ".join(f"{option} {name!r}" if " " in name else f"{option} {name}" for name in matching)
        faults.add(f"{len(matching)} columns may be the {meaning} ({', '.join(matching)}): give {choices}")
        return ""
    if not matching and required:
        faults.add(f"no {meaning} column among its usual names ({', '.join(names[:8])}, …): give {option} NAME")
    return matching[0] if matching else ""


def plain_name(name: str) -> str:
    return "_".join(name.strip().casefold().replace("-", " ").replace("_", " ").split())
