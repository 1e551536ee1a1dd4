"""Which column of a user's table means what: by an option, else by its usual names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.store.errors import Faults
from trainables.data.options import DatasetOptions

FILE_NAMES = (
    *("file", "filename", "file_name", "filepath", "file_path", "path", "image", "images", "image_path", "imagepath"),
    *("image_file", "image_name", "img", "img_path", "img_name"),
)
LABEL_NAMES = (
    *("label", "labels", "class", "classes", "class_name", "classname", "class_label", "target", "diagnosis"),
    *("category", "image_class", "grade"),
)
GROUP_NAMES = (
    *("group", "groups", "group_id", "patient", "patient_id", "patientid", "case", "case_id", "slide", "slide_id"),
    *("subject", "subject_id", "family", "family_id", "donor", "donor_id", "specimen", "specimen_id"),
)
SPLIT_NAMES = ("split", "set", "fold", "partition", "subset", "dataset_split")
_FILE_WORDS = frozenset({"file", "filename", "filepath", "path", "image", "img"})
_LABEL_WORDS = frozenset({"label", "class", "target", "diagnosis", "category"})


@dataclass(frozen=True)
class Columns:
    """Names of columns as the table writes them; group and split are None where the table has none."""

    file: str
    label: str
    group: str | None
    split: str | None
    split_was_named: bool
    """Whether the user named the split column; a guessed one may turn out to be about something else."""


def find_columns(header: Sequence[str], options: DatasetOptions, subject: str) -> Columns:
    """Find the four columns; raises one InputError with every column that is missing, ambiguous or unknown."""
    faults = Faults(subject)
    file = _column("file", header, options.file_column, FILE_NAMES, _FILE_WORDS, faults)
    label = _column("label", header, options.label_column, LABEL_NAMES, _LABEL_WORDS, faults)
    group = ""
    if options.group_by is None:
        # A part of a name is not enough here: "age_group" is no group in our sense.
        group = _column("group", header, options.group_column, GROUP_NAMES, frozenset(), faults, required=False)
    elif options.group_column is not None:
        faults.add("--group-by and --group-column were both given, expected one of them")
    split = _column("split", header, options.split_column, SPLIT_NAMES, frozenset(), faults, required=False)
    taken = [name for name in (file, label, group, split) if name]
    for name in sorted({name for name in taken if taken.count(name) > 1}):
        faults.add(f"column {name!r} was given for two things")
    faults.raise_if_any(f"The table has the columns {', '.join(map(repr, header))}.")
    return Columns(file, label, group or None, split or None, options.split_column is not None)


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
        found = [name for name in header if name == asked] or [name for name in header if _plain(name) == _plain(asked)]
        if len(found) != 1:
            faults.add(f"{option} {asked!r}: the table has {'no' if not found else 'more than one'} such column")
        return found[0] if len(found) == 1 else ""
    found = [name for name in header if _plain(name) in names]
    if not found:
        found = [name for name in header if words & set(_plain(name).split("_"))]
    if len(found) > 1:
        choices = " or ".join(f"{option} {name!r}" if " " in name else f"{option} {name}" for name in found)
        faults.add(f"{len(found)} columns may be the {meaning} ({', '.join(found)}): give {choices}")
        return ""
    if not found and required:
        faults.add(f"no {meaning} column among its usual names ({', '.join(names[:8])}, …): give {option} NAME")
    return found[0] if found else ""


def _plain(name: str) -> str:
    return "_".join(name.strip().casefold().replace("-", " ").replace("_", " ").split())
