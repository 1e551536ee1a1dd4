"""The cells of a table's file: text of any usual encoding and separator, a sheet of Excel, or Parquet."""

from __future__ import annotations

import codecs
import csv
import io
import re
import shlex
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from orchestrator.store.errors import Faults, InputError
from trainables.data.workbook import WORKBOOKS, read_sheet

SPREADSHEETS = frozenset({".xls", ".xlsb", ".ods"})
"""Tables that are not read; the error says how to save them as one that is."""
TABLE_SUFFIXES = frozenset({".csv", ".tsv", ".parquet"}) | WORKBOOKS | SPREADSHEETS
_SPREADSHEET_BYTES = (b"PK\x03\x04", bytes.fromhex("D0CF11E0"))
_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",  # begins as the mark of UTF-16 does, so it comes first
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}

Row = Mapping[str, str]


def read_cells(table: Path, subject: str, sheet: str | None, notes: list[str]) -> tuple[list[str], list[Row]]:
    """The header and the rows of a table, every cell as text. Raises InputError.

    sheet: of a workbook, where several hold something. What was read otherwise than it looks goes to `notes`.
    """
    kind = table.suffix.lower()
    if kind in SPREADSHEETS:
        raise InputError(
            f"{subject}: {kind} spreadsheets are not supported, expected .csv, .tsv, .xlsx or .parquet",
            f"Open it and save it as .xlsx, then: --data {shlex.quote(str(table.with_suffix('.xlsx')))}",
        )
    rows: list[Row]
    try:
        if kind in WORKBOOKS:
            worksheet = read_sheet(table, sheet, subject)
            notes.extend(worksheet.notes)
            header = worksheet.header
            rows = [dict(zip(header, cells, strict=True)) for _, cells in worksheet.lines]
        else:
            header, rows = _read_parquet(table) if kind == ".parquet" else _read_text(table)
    except _SpreadsheetError as error:
        raise InputError(
            f"{subject}: its first bytes are those of a spreadsheet or an archive, expected the text of a {kind} table",
            "Rename it to what it is (.xlsx), or save the sheet as “CSV UTF-8”.",
        ) from error
    except (OSError, UnicodeError, csv.Error, ValueError, pa.ArrowException) as error:
        raise InputError(
            f"{subject}: cannot be read as {kind[1:].upper()}: {error}", "Save it as UTF-8 CSV with a header line."
        ) from error
    faults = Faults(subject)
    faults.extend(
        f"column {name!r} occurs twice" for name in sorted({name for name in header if header.count(name) > 1})
    )
    if not rows:
        faults.add("no rows below the header")
    faults.raise_if_any("Give one header line and one row for each image.")
    return header, rows


class _SpreadsheetError(Exception):
    """A spreadsheet by its first bytes."""


def _read_text(table: Path) -> tuple[list[str], list[Row]]:
    text, separator = _decoded(table.read_bytes()), ""
    said = re.match(r"\"?sep=(.)\"?[ \t,;]*\r?\n", text, re.IGNORECASE)  # what spreadsheets write for themselves
    if said:
        text, separator = text[said.end() :], said[1]
    separator = separator or _separator(text, table.suffix.lower())
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True, strict=True)
    try:
        lines = [(number, cells) for number, cells in enumerate(reader, 1) if any(cell.strip() for cell in cells)]
    except csv.Error as error:
        raise ValueError(
            f"line {reader.line_num}: {error}; a quotation mark is not closed, or one inside a quoted cell is not "
            'written twice ("")'
        ) from error
    if not lines:
        raise ValueError("it is empty")
    used = max(_used(cells) for _, cells in lines)
    header = [name.strip() for name in lines[0][1][: max(used, 1)]]
    rows = list[Row]()
    for number, cells in lines[1:]:
        # Separators at the end of a line are no cells, whether all lines have them or some.
        if _used(cells) > len(header) or len(cells) < _used(header):
            raise ValueError(f"row {number} has {len(cells)} cells, expected {len(header)} as in the header")
        rows.append(dict(zip(header, [*cells, *[""] * len(header)], strict=False)))
    _check_quotes(lines[1:], separator)
    return header, rows


def _check_quotes(lines: Sequence[tuple[int, Sequence[str]]], separator: str) -> None:
    """Raise ValueError where a cell of several lines holds what other rows do in the same columns: a quotation mark
    that was not meant as one hides the rows up to the next."""
    held = [set(column) for column in zip_longest(*(cells for _, cells in lines), fillvalue="")]
    for number, cells in lines:
        for cell in cells:
            for line in cell.splitlines()[1:]:
                parts = line.split(separator)
                if len(parts) > 1 and any(part and part in column for part, column in zip(parts, held, strict=False)):
                    raise ValueError(
                        f"row {number} has a cell that swallows further rows ({line!r}): a quotation mark opened "
                        'there is not closed (inside a quoted cell write " as "")'
                    )


def _decoded(content: bytes) -> str:
    if content.startswith(_SPREADSHEET_BYTES):
        raise _SpreadsheetError
    for mark, encoding in _MARKS.items():
        if content.startswith(mark):
            return content.decode(encoding)
    if b"\x00" in content[:2]:  # UTF-16 without its mark: one of the first two bytes of a header is 0
        return content.decode("utf-16-be" if content[:1] == b"\x00" else "utf-16-le")
    return content.decode("utf-8")


def _separator(text: str, suffix: str) -> str:
    """The commonest of comma, semicolon and tab in the header line outside of quotes; in a .tsv tabs come first."""
    header = re.sub(r'"[^"]*"', "", text.lstrip()).partition("\n")[0]
    return "\t" if suffix == ".tsv" and "\t" in header else max(",;\t", key=header.count)


def _used(cells: list[str]) -> int:
    """How many cells there are up to the last one that holds something."""
    return max((number for number, cell in enumerate(cells, 1) if cell.strip()), default=0)


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
