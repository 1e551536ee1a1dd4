"""A table of images: CSV, TSV, a sheet of Excel or Parquet with a row for each file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from orchestrator.store.errors import Faults, InputError
from trainables.data.cells import TABLE_SUFFIXES, Row, read_cells
from trainables.data.columns import Columns, find_columns
from trainables.data.file_cells import find_files
from trainables.data.groups import spelling_faults
from trainables.data.label_cells import read_labels
from trainables.data.listing import Entry, Listing, named
from trainables.data.options import DatasetOptions
from trainables.data.spellings import is_missing, missing_words
from trainables.data.split_column import read_splits
from trainables.data.unused_options import TABLE, TEXT, unused_faults
from trainables.data.workbook import WORKBOOKS

_SHORTENED = re.compile(r"\d[.,]\d+E\+\d+", re.IGNORECASE)


def labels_table(folder: Path) -> Path | None:
    """The table labels.csv (.tsv, .parquet) of a folder, if it holds one. Raises InputError where it holds several."""
    try:
        tables = sorted(
            path
            for path in folder.iterdir()
            if path.stem.lower() == "labels" and path.suffix.lower() in TABLE_SUFFIXES and path.is_file()
        )
    except OSError as error:
        raise InputError(
            f"dataset {folder}: the folder cannot be read: {error.strerror}", "Change its permissions."
        ) from error
    if len(tables) > 1:
        names = ", ".join(path.name for path in tables)
        raise InputError(f"dataset {folder}: holds {len(tables)} tables ({names})", f"Name one: --data {tables[0]}")
    return tables[0] if tables else None


def list_table(table: Path, options: DatasetOptions) -> Listing:
    """List the images of a table. Raises InputError where its cells cannot be read.

    Everything else that is wrong is in the listing's `faults`: columns, missing files, empty cells, names that mean
    none or are written in several ways, paths that leave the root. What is not known of an entry is "" there.

    Paths are relative to the table's folder, or to `options.data_root`; absolute ones need the latter and lie in it.
    """
    subject = f"dataset {table}"
    read = list[str]()
    header, rows = read_cells(table, subject, options.sheet, read)
    faults = Faults(subject)
    unused_faults(options, TABLE if table.suffix.lower() in WORKBOOKS else TEXT, faults)
    columns = find_columns(header, rows, options, faults)
    root = (options.data_root or table.parent).resolve()
    notes = [*read, *columns.notes]
    split_column, splits = read_splits(header, rows, columns, options, faults)
    files, labels = [""] * len(rows), [""] * len(rows)
    if columns.file:
        files = find_files([row[columns.file] for row in rows], root, options.data_root, faults, notes)
        _check_files(rows, columns, faults)
    if columns.labels:
        labels = read_labels(rows, columns, options.classes, faults, notes)
    groups = _groups(rows, columns, options.join_groups, faults, notes)
    named_columns = {columns.file, *columns.labels, columns.group, columns.fold, split_column}
    others = [name for name in header if name not in named_columns]
    entries = [
        Entry(file, label, group, split, fold, {name: row[name] for name in others})
        for file, label, group, split, fold, row in zip(
            files, labels, groups, splits, _folds(rows, columns), rows, strict=True
        )
    ]
    meaning = f"column {columns.group} of {table.name}" if columns.group is not None else ""
    if faults.found:
        faults.advise("Correct the table, then run the same command again.")
    return Listing(
        subject,
        root,
        entries,
        group_meaning=meaning,
        columns=tuple(header),
        notes=tuple(notes),
        warnings=tuple(note for note in columns.notes if note.startswith("Warning:")),
        faults=tuple(faults.found),
        advice=tuple(faults.advice),
        unclear=columns.unclear,
    )


def _folds(rows: Sequence[Row], columns: Columns) -> list[str]:
    if columns.fold is None:
        return [""] * len(rows)
    return ["" if is_missing(row[columns.fold]) else row[columns.fold].strip() for row in rows]


def _groups(rows: Sequence[Row], columns: Columns, join: bool, faults: Faults, notes: list[str]) -> list[str]:
    if columns.group is None:
        return [""] * len(rows)
    groups = [row[columns.group].strip() for row in rows]
    missing = [number for number, group in enumerate(groups) if is_missing(group)]
    if missing:
        faults.add(
            f"column {columns.group!r}: {len(missing)} rows without a group (data rows "
            f"{named([str(number + 1) for number in missing])}; {missing_words(groups[n] for n in missing)}). Name the "
            "patient or slide of each, leave them out, or give each such image a name of its own"
        )
    short = sorted({group for group in groups if _SHORTENED.fullmatch(group)})
    if short:
        notes.append(
            f"Warning: {len(short)} groups of column {columns.group!r} are numbers that a spreadsheet shortened "
            f"({named(short)}): several patients may have become one group. Write them in full, as text."
        )
    if not join:
        faults.extend(spelling_faults([group for group in groups if not is_missing(group)]))
    return ["" if is_missing(group) else group for group in groups]


def _check_files(rows: Sequence[Row], columns: Columns, faults: Faults) -> None:
    empty = [str(number) for number, row in enumerate(rows, 1) if not row[columns.file].strip()]
    if empty:
        faults.add(f"column {columns.file!r}: {len(empty)} rows without a file (data rows {named(empty)})")
