"""The cells of a sheet of Excel, as text: what the sheet shows, and what it hides told or refused."""

from __future__ import annotations

import datetime as dt
import re
import shlex
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import IO, Any

from orchestrator.store.errors import Faults, InputError
from trainables.data.listing import named

WORKBOOKS = frozenset({".xlsx", ".xlsm"})
LARGEST = 400_000_000
"""Bytes of a workbook's XML, unpacked: more than 10 million cells."""
_MERGED = re.compile(rb"<(?:\w+:)?mergeCell\s[^>]*?ref=\"([A-Z]+\d+:[A-Z]+\d+)\"")
_HIDDEN_ROW = re.compile(rb"<(?:\w+:)?row\s(?=[^>]*hidden=\"(?:1|true)\")[^>]*?\br=\"(\d+)\"")
_ZEROS = re.compile(r"0+")


@dataclass(frozen=True)
class Sheet:
    """header: names of columns. lines: (number of the row in the sheet, its cells as text, as many as the header has).
    notes: what was read otherwise than it looks, for the user."""

    header: list[str]
    lines: list[tuple[int, list[str]]]
    notes: tuple[str, ...]


def read_sheet(table: Path, asked: str | None, subject: str) -> Sheet:
    """Read the one sheet that holds something, or the one that --sheet names.

    Numbers are written without a fraction where they have none, dates as 2024-01-31, yes and no as TRUE and FALSE.
    Raises one InputError: no workbook, several sheets, formulas without a value, merged cells in the table.
    """
    try:
        with zipfile.ZipFile(table) as archive:
            size = sum(part.file_size for part in archive.infolist() if part.filename.endswith((".xml", ".rels")))
            if size > LARGEST:
                raise InputError(
                    f"{subject}: {size:,} bytes when unpacked, expected {LARGEST:,} at most",
                    "Save the sheet with the images alone, or as “CSV UTF-8”.",
                )
            return _Opened(table, archive).sheet(asked, subject)
    except InputError:
        raise
    except Exception as error:  # the parser's errors have no common base
        raise InputError(
            f"{subject}: cannot be read as an Excel workbook: {error}",
            "Save it again as .xlsx, without a password, or the sheet as “CSV UTF-8”.",
        ) from error


class _Opened:
    """A workbook, its values and its formulas."""

    def __init__(self, table: Path, archive: zipfile.ZipFile) -> None:
        from openpyxl import load_workbook

        self.archive = archive
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # parts of a workbook that hold no cells
            self.values = load_workbook(table, read_only=True, data_only=True)
            self.formulas = load_workbook(table, read_only=True, data_only=False)

    def sheet(self, asked: str | None, subject: str) -> Sheet:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                notes = list[str]()
                name = self._chosen(asked, subject, notes)
                return self._read(name, subject, notes)
            finally:
                self.values.close()
                self.formulas.close()

    def _chosen(self, asked: str | None, subject: str, notes: list[str]) -> str:
        names: list[str] = [sheet.title for sheet in self.values.worksheets]
        if asked is not None:
            matching = [name for name in names if name == asked] or [
                name for name in names if name.strip().casefold() == asked.strip().casefold()
            ]
            if len(matching) != 1:
                raise InputError(
                    f"{subject}: --sheet {asked!r}: no such sheet, found {named(names)}", "Name one of them."
                )
            return matching[0]
        filled = [sheet for sheet in self.values.worksheets if self._holds_something(sheet.title)]
        shown = [sheet.title for sheet in filled if sheet.sheet_state == "visible"]
        if not filled:
            raise InputError(f"{subject}: all sheets are empty ({named(names)})", "Give another table.")
        if len(shown or filled) > 1:
            several = shown or [sheet.title for sheet in filled]
            raise InputError(
                f"{subject}: {len(several)} sheets are not empty ({named(several)}), expected one",
                f"Say which: {' or '.join(f'--sheet {shlex.quote(name)}' for name in several[:5])}",
            )
        hidden = [sheet.title for sheet in filled if sheet.title not in shown[:1]]
        name: str = shown[0] if shown else filled[0].title
        if shown and hidden:
            notes.append(f"Sheet {name!r} is read; hidden ones are not empty either: {named(hidden)} (--sheet NAME).")
        return name

    def _holds_something(self, name: str) -> bool:
        return any(any(_filled(cell) for cell in cells) for _, cells in self._rows(name))

    def _rows(self, name: str) -> Iterator[tuple[int, list[_Cell]]]:
        """(row number, its cells) of the rows that have any."""
        values, formulas = self.values[name], self.formulas[name]
        values.reset_dimensions()  # what a sheet says of its own size may be wrong
        formulas.reset_dimensions()
        pairs = zip_longest(values.iter_rows(), formulas.iter_rows(), fillvalue=())
        for number, (shown, written) in enumerate(pairs, 1):
            cells = [
                _Cell(value.value, value.number_format or "", formula.data_type == "f")
                for value, formula in zip(shown, written, strict=True)
            ]
            if any(map(_filled, cells)):
                yield number, cells

    def _read(self, name: str, subject: str, notes: list[str]) -> Sheet:
        rows = list(self._rows(name))
        if not rows:
            raise InputError(f"{subject}: sheet {name!r} is empty", "Name another: --sheet NAME")
        wide = max(sum(map(_filled, cells)) for _, cells in rows)
        first = next(place for place, (_, cells) in enumerate(rows) if sum(map(_filled, cells)) > 1 or wide == 1)
        above, (top, header), below = rows[:first], rows[first], rows[first + 1 :]
        if above:
            titles = [_text(cell) for _, cells in above for cell in cells if _filled(cell)]
            notes.append(f"Sheet {name!r}: {len(above)} rows above the header are skipped ({named(titles)}).")
        used = sorted({place for _, cells in rows[first:] for place, cell in enumerate(cells) if _filled(cell)})
        faults = Faults(f"{subject}, sheet {name!r}")
        nameless = [_letters(place) for place in used if place >= len(header) or not _filled(header[place])]
        if len(nameless) > 1:
            faults.add(
                f"columns {', '.join(nameless)} hold values and have no name in row {top}, the first with several cells"
            )
        without = [
            f"{_letters(place)}{number}"
            for number, cells in rows[first:]
            for place, cell in enumerate(cells)
            if cell.is_formula and cell.value is None
        ]
        if without:
            faults.add(f"{len(without)} cells hold a formula whose value was not saved: {named(without)}")
        hidden, merged = self._hidden_and_merged(name, top, rows[-1][0], used)
        if merged:
            faults.add(f"{len(merged)} ranges of merged cells, expected a value in each cell: {named(merged)}")
        faults.raise_if_any(
            "Open it, recalculate and save it, and fill every cell of merged ranges; then run the same command again."
        )
        if hidden:
            notes.append(f"Sheet {name!r}: {hidden} hidden rows, perhaps hidden by a filter, are read like the others.")
        names = [_text(header[place]) if place < len(header) else "" for place in used]
        notes.extend(_dates(names, used, below))
        lines = [
            (number, [_text(cells[place]) if place < len(cells) else "" for place in used]) for number, cells in below
        ]
        return Sheet([text.strip() for text in names], lines, tuple(notes))

    def _hidden_and_merged(self, name: str, top: int, last: int, used: Sequence[int]) -> tuple[int, list[str]]:
        """How many of the table's rows are hidden, and the ranges of merged cells that cross it."""
        hidden, merged = set[bytes](), dict[bytes, None]()
        with self.archive.open(self._part(name)) as part:
            for text in _pieces(part):
                hidden.update(_HIDDEN_ROW.findall(text))
                merged.update(dict.fromkeys(_MERGED.findall(text)))
        crossing = [span.decode() for span in merged if _crosses(span.decode(), top, last, used)]
        return sum(top < int(number) <= last for number in hidden), crossing

    def _part(self, name: str) -> str:
        return str(self.values[name]._worksheet_path)


@dataclass(frozen=True)
class _Cell:
    value: Any
    number_format: str
    is_formula: bool


def _filled(cell: _Cell) -> bool:
    return cell.is_formula or (cell.value is not None and bool(str(cell.value).strip()))


def _text(cell: _Cell) -> str:
    """What the cell shows, as a program writes it to CSV."""
    value = cell.value
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        value = int(value)
    if isinstance(value, int) and value >= 0 and _ZEROS.fullmatch(cell.number_format):
        return str(value).zfill(len(cell.number_format))  # 7 that is shown as 007
    if isinstance(value, dt.datetime):
        return str(value.date() if value.time() == dt.time() else value)
    return str(value)


def _dates(names: Sequence[str], used: Sequence[int], below: Sequence[tuple[int, list[_Cell]]]) -> Iterator[str]:
    """A warning for each column in which some names may have become dates."""
    for name, place in zip(names, used, strict=True):
        cells = [cells[place] for _, cells in below if place < len(cells) and _filled(cells[place])]
        dates = [_text(cell) for cell in cells if isinstance(cell.value, dt.date | dt.time)]
        if dates and len(dates) < len(cells):
            yield (
                f"Warning: {len(dates)} of {len(cells)} cells of column {name!r} are dates ({named(dates)}): Excel "
                "turns names such as 1-2 and MAR1 into dates. If they are not dates, write them as text."
            )


def _pieces(part: IO[bytes]) -> Iterator[bytes]:
    """The content, piece by piece; a tag of up to 4,000 bytes is whole in one of them."""
    before = b""
    while piece := part.read(1 << 20):
        yield before + piece
        before = (before + piece)[-4000:]


def _crosses(span: str, top: int, last: int, used: Sequence[int]) -> bool:
    from openpyxl.utils.cell import range_boundaries

    left, up, right, down = range_boundaries(span)
    return up <= last and down >= top and any(left <= place + 1 <= right for place in used)


def _letters(place: int) -> str:
    from openpyxl.utils import get_column_letter

    return str(get_column_letter(place + 1))
