"""A table of images: CSV, TSV or Parquet with a row for each file."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from orchestrator.store.errors import Faults, InputError
from trainables.data.columns import Columns, find_columns
from trainables.data.listing import SPLIT_WORDS, Entry, Listing, named, outside
from trainables.data.options import DatasetOptions

TABLE_SUFFIXES = frozenset({".csv", ".tsv", ".parquet"})

Row = Mapping[str, str]


def list_table(table: Path, options: DatasetOptions) -> Listing:
    """List the images of a table; raises one InputError with all missing files, empty cells and paths that leave
    the root.

    Paths are relative to the table's folder, or to `options.data_root`; absolute ones need the latter and lie in it.
    """
    subject = f"dataset {table}"
    header, rows = _read(table, subject)
    columns = find_columns(header, options, subject)
    root = (options.data_root or table.parent).resolve()
    faults = Faults(subject)
    splits = _splits(rows, columns, faults)
    files = _files(rows, columns, root, options.data_root, faults)
    _check_cells(rows, columns, faults)
    faults.raise_if_any("Correct the table, then run the same command again.")
    # A split column that was only guessed and says nothing of train, valid or test is a column like any other.
    split_column = columns.split if any(splits) else None
    named_columns = {columns.file, columns.label, columns.group, split_column}
    others = [name for name in header if name not in named_columns]
    entries = [
        Entry(
            file,
            row[columns.label],
            row[columns.group].strip() if columns.group is not None else "",
            split,
            {name: row[name] for name in others},
        )
        for file, row, split in zip(files, rows, splits, strict=True)
    ]
    meaning = f"column {columns.group} of {table.name}" if columns.group is not None else ""
    return Listing(subject, root, entries, group_meaning=meaning, columns=tuple(header))


def _read(table: Path, subject: str) -> tuple[list[str], list[Row]]:
    try:
        header, rows = _read_parquet(table) if table.suffix.lower() == ".parquet" else _read_text(table)
    except (OSError, UnicodeDecodeError, csv.Error, ValueError, pa.ArrowException) as error:
        raise InputError(
            f"{subject}: cannot be read as {table.suffix.lower()[1:].upper()}: {error}",
            "Save it as UTF-8 CSV with a header line.",
        ) from error
    faults = Faults(subject)
    faults.extend(
        f"column {name!r} occurs twice" for name in sorted({name for name in header if header.count(name) > 1})
    )
    if not rows:
        faults.add("no rows below the header")
    faults.raise_if_any("Give one header line and one row for each image.")
    return header, rows


def _read_text(table: Path) -> tuple[list[str], list[Row]]:
    with table.open(encoding="utf-8-sig", newline="") as file:
        first = file.readline()
        file.seek(0)
        separator = "\t" if table.suffix.lower() == ".tsv" else max(",;\t", key=first.count)
        lines = [(number, cells) for number, cells in enumerate(csv.reader(file, delimiter=separator), 1) if any(cells)]
    if not lines:
        raise ValueError("it is empty")
    header = [name.strip() for name in lines[0][1]]
    for number, cells in lines[1:]:
        if len(cells) != len(header):
            raise ValueError(f"row {number} has {len(cells)} cells, expected {len(header)} as in the header")
    return header, [dict(zip(header, cells, strict=True)) for _, cells in lines[1:]]


def _read_parquet(table: Path) -> tuple[list[str], list[Row]]:
    content = pq.read_table(table)
    texts = {}
    for name in content.column_names:
        try:
            texts[name] = pc.fill_null(content.column(name).cast(pa.string()), "").to_pylist()
        except pa.ArrowException as error:
            kind = content.schema.field(name).type
            raise ValueError(f"column {name!r} holds {kind}, expected text or numbers") from error
    return list(texts), [dict(zip(texts, cells, strict=True)) for cells in zip(*texts.values(), strict=True)]


def _splits(rows: Sequence[Row], columns: Columns, faults: Faults) -> list[str]:
    if columns.split is None:
        return [""] * len(rows)
    written = [row[columns.split].strip() for row in rows]
    unknown = sorted({value for value in written if value.casefold() not in SPLIT_WORDS})
    known = len(unknown) < len(set(written))
    if unknown and (known or columns.split_was_named):
        faults.add(f"column {columns.split!r} holds {named(unknown)}, expected train, valid or test in every row")
    return [SPLIT_WORDS.get(value.casefold(), "") for value in written]


def _files(rows: Sequence[Row], columns: Columns, root: Path, data_root: Path | None, faults: Faults) -> list[str]:
    """The rows' paths relative to the root; every fault of a path goes to `faults`, one sentence for each kind."""
    files: list[str] = []
    faulty: dict[str, list[str]] = {"absolute": [], "outside": [], "missing": [], "twice": []}
    seen: set[str] = set()
    for row in rows:
        written = row[columns.file].strip()
        relative = _relative(root, data_root, written)
        files.append(relative.as_posix())
        if not written:
            continue
        if Path(written).is_absolute() and data_root is None:
            faulty["absolute"].append(written)
        elif relative.parts[:1] == ("..",) or ((root / relative).exists() and outside(root, root / relative)):
            faulty["outside"].append(written)
        elif not (root / relative).is_file():
            faulty["missing"].append(written)
        elif files[-1] in seen:
            faulty["twice"].append(written)
        seen.add(files[-1])
    sentences = {
        "absolute": "absolute paths, expected paths relative to the table, or --data-root DIR that contains them",
        "outside": f"files lie outside of the data root {root}, give --data-root DIR that contains them",
        "missing": f"of {len(rows)} files are missing below {root}",
        "twice": "files are listed more than once",
    }
    faults.extend(f"{len(found)} {sentences[kind]}: {named(found)}" for kind, found in faulty.items() if found)
    return files


def _relative(root: Path, data_root: Path | None, written: str) -> PurePosixPath:
    """The path from the root, ".." resolved by name; one written on Windows is read with its backslashes as slashes."""
    if "\x00" in written:
        return PurePosixPath("\ufffd")
    place = Path(written)
    if data_root is not None and place.is_absolute() and place.is_relative_to(data_root.absolute()):
        place = place.relative_to(data_root.absolute())
    if "\\" in written and not (root / place).exists():
        place = Path(written.replace("\\", "/"))
    return PurePosixPath(Path(os.path.relpath(root / place, root)).as_posix())


def _check_cells(rows: Sequence[Row], columns: Columns, faults: Faults) -> None:
    for meaning, name in (("file", columns.file), ("label", columns.label), ("group", columns.group)):
        empty = [str(number) for number, row in enumerate(rows, 1) if name is not None and not row[name].strip()]
        if empty:
            faults.add(f"column {name!r}: {len(empty)} rows without a {meaning} (data rows {named(empty)})")
