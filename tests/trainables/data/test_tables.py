"""Tables as spreadsheets and other machines write them, and the files that they name."""

from __future__ import annotations

import codecs
from pathlib import Path

import pytest

from orchestrator.store.errors import InputError
from trainables.data.groups import with_groups
from trainables.data.listing import Listing
from trainables.data.options import DatasetOptions
from trainables.data.source import list_source

PLAIN = "file,label,patient\n1.png,a,p\n2.png,b,q\n"


def touch(root: Path, *files: str) -> None:
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_bytes(b"x")


def listing_of(folder: Path, content: str | bytes, name: str = "t.csv") -> Listing:
    touch(folder, "1.png", "2.png")
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return list_source(folder / name, DatasetOptions())


def error_of(source: Path) -> str:
    with pytest.raises(InputError) as caught:
        list_source(source, DatasetOptions())
    return str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        PLAIN,
        PLAIN.replace("\n", "\r\n"),
        PLAIN.replace("\n", "\r"),
        PLAIN.replace(",", ";"),
        PLAIN.replace(",", "\t"),
        "sep=;\r\n" + PLAIN.replace(",", ";").replace("\n", "\r\n"),
        '"sep=\t"\n' + PLAIN.replace(",", "\t"),
        "sep=|\n" + PLAIN.replace(",", "|"),
        PLAIN.replace("\n", ",,\n"),
        PLAIN.replace("\n", ",\n", 1),
        PLAIN.replace("1.png,a,p", "1.png,a,p,,"),
        PLAIN + ",,\n , ,\n",
        '"file","label","patient"\n"1.png","a","p"\n"2.png","b","q"\n',
        codecs.BOM_UTF8 + PLAIN.encode(),
        PLAIN.encode("utf-16"),
        codecs.BOM_UTF16_BE + PLAIN.encode("utf-16-be"),
        PLAIN.replace(",", "\t").encode("utf-16-le"),
        PLAIN.encode("utf-16-be"),
        PLAIN.encode("utf-32"),
    ],
)
def test_one_table_in_many_forms(tmp_path: Path, content: str | bytes) -> None:
    listing = listing_of(tmp_path, content)
    found = [(entry.file, entry.label, entry.group, dict(entry.extra)) for entry in listing.entries]
    assert found == [("1.png", "a", "p", {}), ("2.png", "b", "q", {})]
    assert listing.notes == ()


def test_cells_of_several_lines(tmp_path: Path) -> None:
    listing = listing_of(tmp_path, 'file,label,patient,remark\n1.png,a,p,"two\nlines, and ""quotes"""\n2.png,b,q,\n')
    assert [entry.extra["remark"] for entry in listing.entries] == ['two\nlines, and "quotes"', ""]


NOTED = "file,label,patient,note\n1.png,a,p,ok\n2.png,b,q,ok\n3.png,a,r,{}\n4.png,b,s,ok\n5.png,a,t,{}\n6.png,b,u,ok\n"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (NOTED.format('"5 mm', "ok"), "unexpected end of data; a quotation mark is not closed"),
        (
            NOTED.format('"5 mm', '7 mm"'),
            "row 4 has a cell that swallows further rows ('4.png,b,s,ok')",
        ),
        (NOTED.format('"5 mm', '7"').replace("4.png,b,s,ok\n", ""), "('5.png,a,t,7')"),
        (
            NOTED.format('"5" mm', "ok"),
            "line 4: ',' expected after '\"'; a quotation mark is not closed, or",
        ),
    ],
)
def test_a_quotation_mark_that_is_not_closed_hides_no_rows(tmp_path: Path, content: str, told: str) -> None:
    touch(tmp_path, *(f"{number}.png" for number in range(1, 7)))
    (tmp_path / "t.csv").write_text(content)
    assert told in error_of(tmp_path / "t.csv")


def test_blanks_before_quotation_marks_are_no_part_of_a_cell(tmp_path: Path) -> None:
    listing = listing_of(tmp_path, 'file, label, patient\n1.png, "a", "p"\n2.png, b, "q, of r"\n')
    assert [(entry.label, entry.group) for entry in listing.entries] == [("a", "p"), ("b", "q, of r")]


def test_what_a_column_is_read_for_by_a_part_of_its_name_is_told(tmp_path: Path) -> None:
    content = PLAIN.replace("file,label,", "mask_file,old_label,")
    assert listing_of(tmp_path, content).notes == (
        "The file is read from column 'mask_file', recognised by part of its name; for another: --file-column NAME",
        "The label is read from column 'old_label', recognised by part of its name; for another: --label-column NAME",
    )


@pytest.mark.parametrize("rule", ["none", r"(\d)\.png"])
def test_a_rule_that_divides_a_column_of_patients_is_warned_of(tmp_path: Path, rule: str) -> None:
    listing_of(tmp_path, PLAIN.replace(",q\n", ",p\n"))
    grouped = with_groups(list_source(tmp_path / "t.csv", DatasetOptions(group_by=rule)), rule)
    assert len({entry.group for entry in grouped.entries}) == 2
    (note,) = grouped.notes
    assert note.startswith("Warning: groups read by --group-by divide 1 of the 1 values of column 'patient'")
    assert grouped.warnings == (note,)


def test_a_column_of_patients_with_one_image_each_is_no_reason_to_warn(tmp_path: Path) -> None:
    listing_of(tmp_path, PLAIN)
    assert not with_groups(list_source(tmp_path / "t.csv", DatasetOptions(group_by="none")), "none").notes


def test_groups_that_a_spreadsheet_wrote_in_short_are_warned_of(tmp_path: Path) -> None:
    (note,) = listing_of(tmp_path, PLAIN.replace(",p\n", ",1.23457E+11\n")).notes
    assert note.startswith("Warning: 1 groups of column 'patient' are numbers that a spreadsheet shortened ('1.23457E")


def test_separators_in_quotes_are_not_counted(tmp_path: Path) -> None:
    listing = listing_of(tmp_path, 'file;label;patient;"a, b, c, d, e"\n1.png;a;p;1\n2.png;b;q;2\n')
    assert [entry.extra for entry in listing.entries] == [{"a, b, c, d, e": "1"}, {"a, b, c, d, e": "2"}]


def test_rows_of_other_lengths_are_refused(tmp_path: Path) -> None:
    for content in (PLAIN + "3.png,a\n", PLAIN + "3.png,a,p,surplus\n"):
        with pytest.raises(InputError, match=r"row 4 has \d cells, expected 3"):
            listing_of(tmp_path, content)


@pytest.mark.parametrize("suffix", [".XLS", ".ods", ".xlsb"])
def test_spreadsheets_are_refused_with_the_way_to_save_them(tmp_path: Path, suffix: str) -> None:
    touch(tmp_path, f"t{suffix}", f"d/labels{suffix}", "d/a/1.png")
    for source in (tmp_path / f"t{suffix}", tmp_path / "d"):
        message = error_of(source)
        assert f"{suffix.lower()} spreadsheets are not supported, expected .csv, .tsv, .xlsx or" in message
        assert "Open it and save it as .xlsx, then: --data " in message


def test_a_spreadsheet_by_another_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="its first bytes are those of a spreadsheet or an archive, expected the text"):
        listing_of(tmp_path, b"PK\x03\x04" + bytes(20))


def test_commas_in_a_tsv(tmp_path: Path) -> None:
    assert [entry.group for entry in listing_of(tmp_path, PLAIN, "t.tsv").entries] == ["p", "q"]
    listing = listing_of(tmp_path, "file\tlabel\tpatient\ta,b,c,d,e\n1.png\ta\tp\t1\n", "t.tsv")
    assert listing.entries[0].extra == {"a,b,c,d,e": "1"}


def files_of(folder: Path, *cells: str) -> Listing:
    rows = [f'"{cell}",{"ab"[number % 2]},p{number}' for number, cell in enumerate(cells)]
    return listing_of(folder, "\n".join(["file,label,patient", *rows]) + "\n")


def test_files_are_found_by_another_case_or_without_their_suffix(tmp_path: Path) -> None:
    touch(tmp_path, "Images/scan_1.png", "Images/scan_2.TIF", "images2/caf\u00e9.jpg", "scan_3.v2.png")
    cells = ("images/SCAN_1.PNG", "Images/scan_2", "images2/cafe\u0301.jpg", "scan_3.v2", "1.png")
    listing = files_of(tmp_path, *cells)
    found = ["Images/scan_1.png", "Images/scan_2.TIF", "images2/caf\u00e9.jpg", "scan_3.v2.png", "1.png"]
    assert [entry.file for entry in listing.entries] == found
    assert listing.notes == (
        "4 files were found with other capitals or with a suffix that the table leaves out, for instance "
        "'images/SCAN_1.PNG' as 'Images/scan_1.png'.",
    )


def test_files_that_may_be_several_are_refused(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", "a.jpg", "b.png", "B.png", "c.png")
    with pytest.raises(InputError) as caught:
        files_of(tmp_path, "a", "B.PNG", "c", "C.png", "b.png")
    message = str(caught.value)
    assert "2 paths fit several files" in message
    assert "'a', 'B.PNG'" in message
    assert "1 files are listed more than once: 'C.png'" in message


def test_paths_that_windows_wrote(tmp_path: Path) -> None:
    touch(tmp_path, "images/a/3.png", "images/b/4.png")
    listing = files_of(tmp_path, r"images\a\3.png", r".\images\b\4.png")
    assert [entry.file for entry in listing.entries] == ["images/a/3.png", "images/b/4.png"]
    assert listing.notes == ()
    for before in ("C:\\Users\\me\\study\\", "\\\\server\\share\\", "d:/data/"):
        listing = files_of(tmp_path, f"{before}images\\a\\3.png", f"{before}images\\b\\4.PNG")
        assert [entry.file for entry in listing.entries] == ["images/a/3.png", "images/b/4.png"]
        assert any("2 paths begin with" in note for note in listing.notes)
    with pytest.raises(InputError, match=r"1 of 2 files are missing .*5\.png"):
        files_of(tmp_path, "C:\\x\\images\\a\\3.png", "C:\\x\\images\\b\\5.png")


def test_a_path_found_by_case_does_not_leave_the_root(tmp_path: Path) -> None:
    touch(tmp_path, "secret/1.png", "d/2.png")
    (tmp_path / "d/way").symlink_to(tmp_path / "secret")
    for cell in ("WAY/1.png", "way/1", "C:\\way\\1.png"):
        with pytest.raises(InputError, match="outside the data root"):
            files_of(tmp_path / "d", cell)
