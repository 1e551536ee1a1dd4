"""Class folders, tables, groups: what is read, and what the user is told."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd
import pytest

from orchestrator.store.errors import InputError
from trainables.data.groups import suggested_pattern, with_groups
from trainables.data.labels import check_labels, name_faults
from trainables.data.listing import Entry, Listing
from trainables.data.options import DatasetOptions
from trainables.data.source import list_source


def touch(root: Path, *files: str) -> None:
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_bytes(b"x")


def error_of(source: Path, **options: object) -> str:
    with pytest.raises(InputError) as caught:
        list_source(source, DatasetOptions(**options))  # type: ignore[arg-type]
    return str(caught.value)


def listed(source: Path, **options: object) -> list[tuple[str, str, str, str]]:
    listing = list_source(source, DatasetOptions(**options))  # type: ignore[arg-type]
    return sorted((entry.file, entry.label, entry.group, entry.split) for entry in listing.entries)


def test_class_folders_at_any_depth(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.png", "a/p/q/2.JPG", "b/3.tiff", "b/notes.txt", ".hidden/4.png", "b/Thumbs.db", "loose.png")
    assert listed(tmp_path) == [("a/1.png", "a", "", ""), ("a/p/q/2.JPG", "a", "", ""), ("b/3.tiff", "b", "", "")]
    listing = list_source(tmp_path, DatasetOptions())
    assert [file for file, _ in listing.refused] == ["loose.png"]
    assert listing.other == [("b/notes.txt", "not an image by its name: .txt suffix")]


def test_split_folders_are_a_partition(tmp_path: Path) -> None:
    touch(tmp_path, "Train/a/1.png", "val/a/2.png", "test/b/3.png", "train-notes.txt")
    assert listed(tmp_path) == [
        ("Train/a/1.png", "a", "", "train"),
        ("test/b/3.png", "b", "", "test"),
        ("val/a/2.png", "a", "", "valid"),
    ]
    touch(tmp_path, "extra/a/4.png")
    assert "'extra' lie beside them" in error_of(tmp_path)


def test_half_a_partition_is_no_partition(tmp_path: Path) -> None:
    touch(tmp_path, "train/a/1.png", "train/b/2.png")
    message = error_of(tmp_path)
    assert "expected train, valid and test" in message
    assert f"--data {tmp_path / 'train'}" in message


def test_folders_without_images(tmp_path: Path) -> None:
    assert "the folder is empty" in error_of(tmp_path)
    touch(tmp_path, "a/1.txt", "a/2.txt", "t.csv")
    message = error_of(tmp_path)
    assert "no images among 3 files (2 .txt, 1 .csv)" in message
    assert f"--data {tmp_path / 't.csv'}" in message
    assert "found nothing there" in error_of(tmp_path / "gone")
    assert "expected a folder or a .csv, .tsv, .xlsx or .parquet table" in error_of(tmp_path / "a/1.txt")
    touch(tmp_path / "flat", "1.png", "2.png")
    assert "2 images lie directly in the folder" in error_of(tmp_path / "flat")


def test_links_out_of_the_root_are_refused(tmp_path: Path) -> None:
    touch(tmp_path, "data/a/1.png", "elsewhere/2.png")
    (tmp_path / "data/a/link.png").symlink_to(tmp_path / "elsewhere/2.png")
    (tmp_path / "data/a/folder").symlink_to(tmp_path / "elsewhere")
    listing = list_source(tmp_path / "data", DatasetOptions())
    assert [entry.file for entry in listing.entries] == ["a/1.png"]
    left = "outside the data root: the link leads out of it"
    assert listing.refused == [("a/folder", left), ("a/link.png", left)]
    wider = list_source(tmp_path / "data", DatasetOptions(data_root=tmp_path))
    assert [entry.file for entry in wider.entries] == ["data/a/1.png", "data/a/folder/2.png", "data/a/link.png"]


def test_a_name_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.png")
    with open(os.fsencode(tmp_path) + b"/a/\xff.png", "wb") as file:  # noqa: PTH123 (a bytes path)
        file.write(b"x")
    listing = list_source(tmp_path, DatasetOptions())
    assert listing.refused == [("a/\\udcff.png", "file name: not valid UTF-8")]


@pytest.mark.parametrize(("suffix", "separator"), [("csv", ","), ("csv", ";"), ("tsv", "\t")])
def test_tables_with_usual_names(tmp_path: Path, suffix: str, separator: str) -> None:
    touch(tmp_path, "i/1.png", "i/2.png")
    rows = [("Image Path", "Diagnosis", "Patient-ID", "SET", "age"), ("i/1.png", "x", "p1", "Training", "3")]
    rows.append(("i\\2.png", "y", "p2", "val", "4"))
    table = tmp_path / f"t.{suffix}"
    table.write_text("\ufeff" + "\n".join(separator.join(row) for row in rows) + "\n")
    listing = list_source(table, DatasetOptions())
    assert listed(table) == [("i/1.png", "x", "p1", "train"), ("i/2.png", "y", "p2", "valid")]
    assert listing.group_meaning == f"column Patient-ID of t.{suffix}"
    assert listing.entries[0].extra == {"age": "3"}


def test_parquet_with_numbers(tmp_path: Path) -> None:
    touch(tmp_path, "1.png", "2.png")
    frame = pd.DataFrame({"file": ["1.png", "2.png"], "label": [0, 1], "case": [7, 8], "score": [0.5, None]})
    frame.to_parquet(tmp_path / "t.parquet")
    assert listed(tmp_path / "t.parquet") == [("1.png", "0", "7", ""), ("2.png", "1", "8", "")]
    (tmp_path / "broken.parquet").write_bytes(b"PAR1")
    assert "cannot be read as PARQUET" in error_of(tmp_path / "broken.parquet")


def test_three_label_columns_are_one_error_with_the_option(tmp_path: Path) -> None:
    touch(tmp_path, "1.png")
    (tmp_path / "t.csv").write_text("file,label_a,label_b,class c,group,slide\n1.png,x,y,z,p,s\n")
    message = error_of(tmp_path / "t.csv")
    assert "give --label-column label_a or --label-column label_b or --label-column 'class c'" in message
    assert "2 columns may be the group (group, slide)" in message
    found = listed(tmp_path / "t.csv", label_column="LABEL_B", group_column="slide")
    assert found == [("1.png", "y", "s", "")]
    assert "no such column" in error_of(tmp_path / "t.csv", label_column="nothing", group_column="slide")
    assert "was given two roles" in error_of(tmp_path / "t.csv", label_column="slide", group_column="slide")


def test_faults_of_a_table_come_together(tmp_path: Path) -> None:
    touch(tmp_path, "d/1.png", "2.png")
    missing = "".join(f"no{number}.png,x,g,train\n" for number in range(8))
    rows = (
        "file,label,group,split\n1.png,x,g,train\n1.png,x,,train\n1.png,,g,oops\n../2.png,x,g,train\n/a.png,x,g,train\n"
    )
    (tmp_path / "d/t.csv").write_text(rows + missing)
    message = error_of(tmp_path / "d/t.csv")
    assert "8 of 13 files are missing" in message
    assert "'no4.png' and 3 more" in message
    assert "2 files are listed more than once" in message
    assert "1 absolute paths" in message
    assert "'../2.png'" in message
    assert "column 'split' holds 'oops'" in message
    assert "rows without a label (data rows '3'; 1 empty)" in message
    assert "rows without a group (data rows '2'; 1 empty)" in message


def test_data_root_decides_what_paths_mean(tmp_path: Path) -> None:
    touch(tmp_path, "images/1.png", "images/2.png", "outside.png")
    table = tmp_path / "tables/t.csv"
    table.parent.mkdir()
    table.write_text(f"file,label,group\n1.png,x,g\n{tmp_path}/images/2.png,y,h\n")
    found = listed(table, data_root=tmp_path / "images")
    assert [row[0] for row in found] == ["1.png", "2.png"]
    table.write_text(f"file,label,group\n{tmp_path}/outside.png,x,g\n")
    assert "outside the data root" in error_of(table, data_root=tmp_path / "images")
    assert "expected a folder" in error_of(table, data_root=tmp_path / "nothing")


def test_a_table_cannot_leave_through_a_link(tmp_path: Path) -> None:
    touch(tmp_path, "secret/1.png", "d/2.png")
    (tmp_path / "d/way").symlink_to(tmp_path / "secret")
    (tmp_path / "d/t.csv").write_text("file,label,group\nway/1.png,x,g\n")
    assert "outside the data root" in error_of(tmp_path / "d/t.csv")


def test_damaged_tables(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_bytes(b"")
    assert "it is empty" in error_of(table)
    table.write_bytes(b"file,label,group\n")
    assert "no rows below the header" in error_of(table)
    table.write_bytes(b"file,label,label\n1,2,3\n")
    assert "column 'label' occurs twice" in error_of(table)
    table.write_bytes(b"file,label,group\n1,2\n")
    assert "row 2 has 2 cells, expected 3" in error_of(table)
    table.write_bytes("file,label,group\n\xe4.png,x,g\n".encode("latin-1"))
    assert "cannot be read as CSV" in error_of(table)


def test_a_folder_with_labels_csv_is_read_through_it(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.png", "b/2.png", "b/3.png", "README.txt")
    (tmp_path / "labels.csv").write_text("file,class,group\na/1.png,a,g\nb/2.png,b,h\n")
    listing = list_source(tmp_path, DatasetOptions())
    assert listing.group_meaning == "column group of labels.csv"
    assert len(listing.entries) == 2
    assert listing.other == [("b/3.png", "not listed in the table: not used")]
    (tmp_path / "labels.tsv").write_text("x")
    assert "holds 2 tables" in error_of(tmp_path)


FILES = ["D/p1_1.png", "D/p1_2.png", "PD/p2_1.png", "PD/p3_9.png"]


def listing_of(files: list[str]) -> Listing:
    return Listing("dataset x", Path("/x"), [Entry(file, file.split("/")[0]) for file in files])


def group_error(files: list[str], group_by: str | None) -> str:
    with pytest.raises(InputError) as caught:
        with_groups(listing_of(files), group_by)
    return str(caught.value)


def test_groups_are_asked_for_with_three_files_and_a_reading() -> None:
    message = group_error(FILES, None)
    assert "--group-by '([^/]+)_[^/_]+$' would read (3 groups in all)" in message
    assert "D/p1_1.png   →  p1\n" in message
    assert "PD/p2_1.png  →  p2\n" in message
    assert "PD/p3_9.png  →  p3\n" in message
    assert "--group-by none" in message
    assert "--group-by parent" not in message
    assert "--group-by parent   the file's folder (2 groups)" in group_error(["D/p1/a.png", "PD/p2/b.png"], None)
    assert "no match" in group_error(["a/x.png", "a/y.png"], None)


def test_folders_of_patients_are_proposed_first_where_no_name_tells() -> None:
    message = group_error(["D/p1/a.png", "D/p2/b.png", "PD/p3/c.png"], None)
    assert "--group-by parent would read (3 groups in all)" in message
    assert "PD/p3/c.png  →  p3\n" in message
    assert message.index("--group-by parent   the file's folder (3 groups)") < message.index("a pattern of your own")


def test_group_by() -> None:
    assert [e.group for e in with_groups(listing_of(FILES), r"/(p\d)").entries] == ["p1", "p1", "p2", "p3"]
    assert [e.group for e in with_groups(listing_of(FILES), r"(\w)/p(?P<group>\d)").entries] == ["1", "1", "2", "3"]
    alone = with_groups(listing_of(FILES), "none")
    assert ([entry.group for entry in alone.entries], alone.meaning) == (FILES, "images assumed independent")
    deep = with_groups(listing_of(["D/p1/a.png", "PD/p1/b.png", "PD/p2/c.png"]), "parent")
    assert [entry.group for entry in deep.entries] == ["p1", "p1", "p2"]
    assert deep.notes == ()


def test_group_by_faults() -> None:
    assert "one group per class" in group_error(FILES, "parent")
    assert "no parentheses" in group_error(FILES, "p.")
    assert "regular expression, found an invalid one" in group_error(FILES, "(")
    message = group_error(FILES, r"(p1)")
    assert "2 of 4 files do not match: 'PD/p2_1.png', 'PD/p3_9.png'" in message


def test_one_folder_for_all_images_is_no_group() -> None:
    listing = Listing("dataset x", Path("/x"), [Entry("images/1.png", "a"), Entry("images/2.png", "b")])
    with pytest.raises(InputError, match="a single group"):
        with_groups(listing, "parent")


@pytest.mark.parametrize(
    ("files", "pattern"),
    [
        (["a/s1-1.png", "a/s1-2.png", "a/s2-1.png"], r"([^/]+)-[^/-]+$"),
        (["a/x1.png", "a/x2.png", "a/y1.png"], r"([^/]*[^/\d.])\d+\.[^/.]+$"),
        (["a/one.png", "a/two.png"], None),
    ],
)
def test_suggested_pattern(files: list[str], pattern: str | None) -> None:
    assert suggested_pattern(files) == pattern


def test_class_names() -> None:
    assert name_faults(["D", "PD", "<b>bold</b>", "é", "x" * 100]) == []
    faults = " ".join(name_faults(["a\nb", "x" * 101, "  ", "Cat", "cat ", "caf\u00e9", "cafe\u0301", "r\u202el"]))
    assert "'a\\nb': holds control" in faults
    assert "101 characters" in faults
    assert "is empty" in faults
    assert "'Cat', 'cat ' differ only" in faults
    assert "'cafe\\u0301', 'caf\\xe9' differ only" in faults
    assert "'r\\u202el': holds control" in faults


def test_classes_must_be_the_studys() -> None:
    labels = pd.Series(["a", "b"], dtype="str")
    check_labels(labels, "dataset x", ("b", "a"))
    with pytest.raises(InputError, match=r"unknown to the study: 'b'; without images: 'c'") as caught:
        check_labels(labels, "dataset x", ("a", "c"))
    assert "orch search NEW_NAME" in caught.value.advice
    with pytest.raises(InputError, match="one class only"):
        check_labels(labels[:1], "dataset x", None)
