"""Options about the data that the source which was given cannot follow: refused, never passed over in silence."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.store.errors import Faults
from trainables.data.options import DatasetOptions

_COLUMNS = ("file_column", "label_column", "group_column", "split_column", "fold_column")
FOLDERS = "class folders, which have no columns"
TABLE = "a table, which says by its columns what an image is"
TEXT = "a table without sheets"
_NOT_WITH: Mapping[str, tuple[str, ...]] = {
    FOLDERS: (*_COLUMNS, "sheet"),
    TABLE: ("layout",),
    TEXT: ("layout", "sheet"),
}
_INSTEAD = {
    FOLDERS: "Give a table (--data labels.csv), or say what the levels of folders mean: --layout group/class; -/class "
    "makes a partition anew",
    TABLE: "Leave --layout out, or move the table elsewhere and give the folder: its class folders are read then",
    TEXT: "Leave --sheet out: it names a sheet of an .xlsx; --layout is about class folders alone",
}


def unused_faults(options: DatasetOptions, source: str, faults: Faults) -> None:
    """Add what was given and does not go with `source`: FOLDERS, TABLE (a workbook) or TEXT."""
    given = [option_of(name) for name in _NOT_WITH[source] if getattr(options, name) is not None]
    if given:
        faults.add(f"{', '.join(given)} with {source}")
        faults.advise(_INSTEAD[source])
    if options.join_groups and options.group_by == "none":
        faults.add("--join-groups with --group-by none, which makes every image a group of its own")
        faults.advise("Leave one of them out.")


def option_of(name: str) -> str:
    """The option of the command line of a field of `DatasetOptions`."""
    return f"--{name.replace('_', '-')}"
