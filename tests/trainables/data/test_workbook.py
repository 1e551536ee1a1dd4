"""Sheets of Excel as tables: what they show is read, what they hide is told or refused."""

from __future__ import annotations

import datetime as dt
import shutil
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from orchestrator.store.errors import InputError
from trainables.data import workbook
from trainables.data.listing import Listing
from trainables.data.options import DatasetOptions
from trainables.data.source import list_source

HEADER = ("file", "label", "patient")
ROWS: tuple[Sequence[Any], ...] = (HEADER, ("1.png", "a", "p"), ("2.png", "b", "q"))
Change = Callable[[Any], None]


def book(
    folder: Path, rows: Sequence[Sequence[Any]] = ROWS, change: Change | None = None, name: str = "t.xlsx"
) -> Path:
    """A workbook of one sheet; `change` is given the workbook before it is saved."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in ("1.png", "2.png"):
        (folder / file).write_bytes(b"x")
    made = openpyxl.Workbook()
    for row in rows:
        made.active.append(row)
    if change is not None:
        change(made)
    made.save(folder / name)
    return folder / name


def listed(source: Path, **options: Any) -> Listing:
    return list_source(source, DatasetOptions(**options))


def cells_of(listing: Listing) -> list[tuple[str, str, str]]:
    return [(entry.file, entry.label, entry.group) for entry in listing.entries]


def error_of(source: Path, **options: Any) -> str:
    with pytest.raises(InputError) as caught:
        listed(source, **options)
    return str(caught.value)


READ = [("1.png", "a", "p"), ("2.png", "b", "q")]


@pytest.mark.parametrize("name", ["t.xlsx", "T.XLSX", "t.xlsm", "labels.xlsx"])
def test_a_sheet_is_read_like_a_table_of_text(tmp_path: Path, name: str) -> None:
    listing = listed(book(tmp_path, name=name))
    assert cells_of(listing) == READ
    assert listing.notes == ()
    assert listing.group_meaning == f"column patient of {name}"
    if name == "labels.xlsx":
        assert cells_of(listed(tmp_path)) == READ


def test_numbers_dates_and_words_of_yes_and_no(tmp_path: Path) -> None:
    rows = (
        (*HEADER, "size", "day", "time", "ok", "code"),
        ("1.png", "a", 2.0, 2.5, dt.date(2024, 1, 31), dt.datetime(2024, 1, 31, 13, 5), True, 7),
        ("2.png", "b", 3, 1e21, dt.date(2024, 2, 1), dt.datetime(2024, 2, 1), False, 12),
    )

    def zeros(made: Any) -> None:
        for row in (2, 3):
            made.active.cell(row, 8).number_format = "000"

    first, second = listed(book(tmp_path, rows, zeros)).entries
    assert (first.group, second.group) == ("2", "3")
    assert list(first.extra.values()) == ["2.5", "2024-01-31", "2024-01-31 13:05:00", "TRUE", "007"]
    assert list(second.extra.values()) == ["1e+21", "2024-02-01", "2024-02-01", "FALSE", "012"]


def test_a_number_and_a_text_of_one_patient_are_compared_as_in_other_tables(tmp_path: Path) -> None:
    source = book(tmp_path, (HEADER, ("1.png", "a", 2), ("2.png", "b", "2.0")))
    assert "1 group is written in several ways" in error_of(source)
    assert [entry.group for entry in listed(source, join_groups=True).entries] == ["2", "2.0"]


def test_names_that_became_dates_are_told(tmp_path: Path) -> None:
    (note,) = listed(book(tmp_path, (HEADER, ("1.png", "a", dt.date(2024, 3, 1)), ("2.png", "b", "MAR2X")))).notes
    assert "1 of 2 cells of column 'patient' are dates ('2024-03-01')" in note


def test_empty_rows_and_columns_around_the_table_are_no_cells(tmp_path: Path) -> None:
    rows = ((), (), (None, *HEADER, None, "  "), (), (None, *ROWS[1], None, None), (None, *ROWS[2]), (), (" ",))

    def wide(made: Any) -> None:
        made.active.cell(500, 40).font = openpyxl.styles.Font(bold=True)

    listing = listed(book(tmp_path, rows, wide))
    assert cells_of(listing) == READ
    assert listing.columns == HEADER


def test_titles_above_the_header_are_passed_over_and_told(tmp_path: Path) -> None:
    def merged(made: Any) -> None:
        made.active.merge_cells("A1:C1")

    listing = listed(book(tmp_path, (("Table S1",), ("of 2024",), (), *ROWS), merged))
    assert cells_of(listing) == READ
    assert listing.notes == ("Sheet 'Sheet': 2 rows above the header are skipped ('Table S1', 'of 2024').",)


def test_a_title_of_several_cells_is_refused(tmp_path: Path) -> None:
    message = error_of(book(tmp_path, (("Date:", "2024"), (*HEADER, "site"), ("1.png", "a", "p", "x"))))
    assert "columns C, D hold values and have no name in row 1, the first with several cells" in message


def test_merged_cells_and_formulas_without_values_are_refused_together(tmp_path: Path) -> None:
    def change(made: Any) -> None:
        made.active.merge_cells("C2:C3")
        made.active["B3"] = '=IF(A3="2.png","b","a")'

    message = error_of(book(tmp_path, change=change))
    assert "sheet 'Sheet': 2 faults" in message
    assert "1 cells hold a formula whose value was not saved: 'B3'" in message
    assert "1 ranges of merged cells, expected a value in each cell: 'C2:C3'" in message


def test_a_formula_whose_value_was_saved_is_that_value(tmp_path: Path) -> None:
    source = book(tmp_path, change=lambda made: made.active.__setitem__("B3", '=LOWER("B")'))
    rewritten(source, "xl/worksheets/sheet1.xml", '<f>LOWER("B")</f><v />', "<f>LOWER(&quot;B&quot;)</f><v>b</v>")
    rewritten(source, "xl/worksheets/sheet1.xml", '<f>LOWER("B")</f><v></v>', "<f>LOWER(&quot;B&quot;)</f><v>b</v>")
    rewritten(source, "xl/worksheets/sheet1.xml", '<c r="B3">', '<c r="B3" t="str">')
    assert cells_of(listed(source)) == READ


@pytest.mark.parametrize("word", ["#REF!", "#N/A", "#DIV/0!", "#VALUE!", "#NAME?"])
def test_errors_of_cells_are_no_label_and_no_patient(tmp_path: Path, word: str) -> None:
    message = error_of(book(tmp_path, (HEADER, ("1.png", word, "p"), ("2.png", "b", word))))
    assert f"column 'label': 1 rows without a label (data rows '1'; 1 '{word}')" in message
    assert f"column 'patient': 1 rows without a group (data rows '2'; 1 '{word}')" in message


def test_hidden_rows_are_read_and_told(tmp_path: Path) -> None:
    def hide(made: Any) -> None:
        made.active.row_dimensions[3].hidden = True

    listing = listed(book(tmp_path, change=hide))
    assert cells_of(listing) == READ
    assert listing.notes == ("Sheet 'Sheet': 1 hidden rows, perhaps hidden by a filter, are read like the others.",)


def test_several_sheets_are_asked_about(tmp_path: Path) -> None:
    def two(made: Any) -> None:
        for title in ("Second sheet", "Empty"):
            made.create_sheet(title)
        for row in (HEADER, ("1.png", "c", "r"), ("2.png", "d", "s")):
            made["Second sheet"].append(row)

    source = book(tmp_path, change=two)
    message = error_of(source)
    assert "2 sheets are not empty ('Sheet', 'Second sheet'), expected one" in message
    assert "Say which: --sheet Sheet or --sheet 'Second sheet'" in message
    assert [label for _, label, _ in cells_of(listed(source, sheet="second sheet"))] == ["c", "d"]
    assert "no such sheet, found 'Sheet', 'Second sheet', 'Empty'" in error_of(source, sheet="Third")
    assert "sheet 'Empty' is empty" in error_of(source, sheet="Empty")


def test_a_hidden_sheet_is_told_and_can_be_named(tmp_path: Path) -> None:
    def two(made: Any) -> None:
        made.create_sheet("lists").append(("a", "b"))
        made["lists"].sheet_state = "hidden"

    (note,) = listed(book(tmp_path, change=two)).notes
    assert note == "Sheet 'Sheet' is read; hidden ones are not empty either: 'lists' (--sheet NAME)."


def test_rows_and_columns_that_no_table_has(tmp_path: Path) -> None:
    source = book(tmp_path)
    rewritten(source, "xl/worksheets/sheet1.xml", '<dimension ref="A1:C3" />', '<dimension ref="A1:XFD1048576" />')
    rewritten(source, "xl/worksheets/sheet1.xml", '<dimension ref="A1:C3"/>', '<dimension ref="A1:XFD1048576"/>')
    assert cells_of(listed(source)) == READ
    far = book(tmp_path, change=lambda made: made.active.cell(3, 900, "far"))
    assert listed(far).entries[1].extra == {"": "far"}


def test_a_workbook_that_would_fill_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = book(tmp_path)
    monkeypatch.setattr(workbook, "LARGEST", 100)
    assert "bytes when unpacked, expected 100 at most" in error_of(source)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", bytes.fromhex("D0CF11E0") + bytes(600), b"file,label\n"])
def test_what_is_no_workbook(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "t.xlsx").write_bytes(content)
    message = error_of(tmp_path / "t.xlsx")
    assert "cannot be read as an Excel workbook" in message
    assert "without a password" in message


def test_any_cut_through_a_workbook_is_an_error_of_one_sentence(tmp_path: Path) -> None:
    whole = book(tmp_path).read_bytes()
    for length in range(0, len(whole), 97):
        (tmp_path / "t.xlsx").write_bytes(whole[:length])
        assert "cannot be read as an Excel workbook" in error_of(tmp_path / "t.xlsx")


def rewritten(source: Path, part: str, before: str, after: str) -> None:
    """The workbook with a part's text changed."""
    target = source.with_suffix(".new")
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for item in old.infolist():
            content = old.read(item)
            new.writestr(item, content.replace(before.encode(), after.encode()) if item.filename == part else content)
    shutil.move(target, source)
