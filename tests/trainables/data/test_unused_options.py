"""Options about data that the source cannot follow are refused, whichever kind of source it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import openpyxl
import pytest

from orchestrator.store.errors import InputError
from trainables.data.options import DatasetOptions
from trainables.data.source import list_source

ROWS = (("file", "label", "patient"), ("a/1.png", "a", "p"), ("b/1.png", "b", "q"))


def source_of(folder: Path, kind: str) -> Path:
    """Class folders a and b; the same with labels.csv; a table or a workbook beside them."""
    for label in "ab":
        (folder / label).mkdir(parents=True)
        (folder / label / "1.png").write_bytes(b"x")
    if kind == "folders":
        return folder
    if kind == "workbook":
        book = openpyxl.Workbook()
        for row in ROWS:
            book.active.append(row)
        book.save(folder / "t.xlsx")
        return folder / "t.xlsx"
    name = "labels.csv" if kind == "folder with labels.csv" else "t.csv"
    (folder / name).write_text("".join(",".join(row) + "\n" for row in ROWS))
    return folder if kind == "folder with labels.csv" else folder / name


def error_of(source: Path, **options: Any) -> str:
    with pytest.raises(InputError) as caught:
        list_source(source, DatasetOptions(**options))
    return str(caught.value)


@pytest.mark.parametrize("kind", ["table", "folder with labels.csv", "workbook"])
def test_a_layout_is_about_folders_alone(tmp_path: Path, kind: str) -> None:
    source = source_of(tmp_path, kind)
    message = error_of(source, layout="class")
    assert "--layout with a table" in message
    assert "Leave --layout out" in message or "--layout is about class folders alone" in message
    assert len(list_source(source, DatasetOptions()).entries) == 2


@pytest.mark.parametrize(
    "name", ["file_column", "label_column", "group_column", "split_column", "fold_column", "sheet"]
)
def test_class_folders_have_no_columns_and_no_sheets(tmp_path: Path, name: str) -> None:
    source = source_of(tmp_path, "folders")
    for value in ("patient", "none"):
        assert f"--{name.replace('_', '-')} with class folders" in error_of(source, **{name: value})


def test_all_that_does_not_go_with_a_source_is_told_at_once(tmp_path: Path) -> None:
    source = source_of(tmp_path, "folders")
    message = error_of(source, file_column="f", sheet="s", group_by="none", join_groups=True)
    assert "--file-column, --sheet with class folders" in message
    assert "--join-groups with --group-by none" in message


def test_a_table_of_text_has_no_sheets(tmp_path: Path) -> None:
    assert "--sheet with a table without sheets" in error_of(source_of(tmp_path, "table"), sheet="one")
    listing = list_source(source_of(tmp_path / "w", "workbook"), DatasetOptions(sheet="Sheet"))
    assert len(listing.entries) == 2


@pytest.mark.parametrize("kind", ["folders", "table"])
def test_words_of_splits_that_nothing_reads(tmp_path: Path, kind: str) -> None:
    message = error_of(
        source_of(tmp_path, kind), split_words=(("a", "train"),), **({"layout": "class"} if kind == "folders" else {})
    )
    assert "--split-words" in message


@pytest.mark.parametrize("kind", ["folders", "table"])
def test_no_test_fold_where_there_are_no_folds(tmp_path: Path, kind: str) -> None:
    assert "was given, but no image is in a fold" in error_of(source_of(tmp_path, kind), test_fold="none")
