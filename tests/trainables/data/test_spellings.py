"""Names that are one name written differently, and words that stand for none."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.store.errors import InputError
from trainables.data.groups import with_groups
from trainables.data.labels import name_faults
from trainables.data.listing import Entry, Listing
from trainables.data.options import DatasetOptions
from trainables.data.source import list_source
from trainables.data.spellings import column_keys, group_key, is_missing, label_key

IDS = ["P0", "p0", "P 0", "P\u00a00", "\uff300", "P00", " P0"]


@pytest.mark.parametrize(
    "names",
    [
        IDS,
        ["2", "2.0", "002", " 2", "2,0"],
        ["caf\u00e9", "cafe\u0301", "CAF\u00c9"],
        ["a-1", "a\u20111", "A\u20131", "a_1", "a1"],
    ],
)
def test_one_group_written_in_several_ways(names: list[str]) -> None:
    assert len({group_key(name) for name in names}) == 1


@pytest.mark.parametrize(
    "names",
    [
        ["2.1", "2.10"],
        ["1 12", "11 2"],
        ["1-12", "11-2", "112"],
        ["-1", "1"],
        ["P1", "P10", "P11"],
        ["1", "1,000"],
        ["a1", "b1"],
        ["0.01", "0.1"],
    ],
)
def test_groups_that_are_different(names: list[str]) -> None:
    assert len({group_key(name) for name in names}) == len(names)


def test_keys_of_labels() -> None:
    assert {label_key(name) for name in ("0", "0.0", "00", "-0", "0,0")} == {"0"}
    assert label_key(".50") == label_key("0.5")
    assert label_key("1e3") == label_key("1000")
    assert label_key("cell a") != label_key("cella")
    assert len({label_key(name) for name in ("in situ", "in-situ", "In_Situ")}) == 1
    assert len({label_key(name) for name in ("HER2", "HER2-", "HER2+", "-1", "1")}) == 5
    assert column_keys(["0", "False", "F", "True", "1.0"]) == {
        "0": "0",
        "False": "0",
        "F": "0",
        "True": "1",
        "1.0": "1",
    }
    assert column_keys(["T", "N"]) == {"T": "t", "N": "n"}


@pytest.mark.parametrize(
    "word", ["", " ", "nan", "NaN", "None", "null", "N/A", "NA", "?", "Unknown", "-", "\u2014", "<NA>"]
)
def test_words_for_a_missing_value(word: str) -> None:
    assert is_missing(word)


@pytest.mark.parametrize("word", ["0", "no", "negative", "nana", "normal", "P?"])
def test_words_that_are_values(word: str) -> None:
    assert not is_missing(word)


def table(folder: Path, text: str) -> Path:
    for number in range(8):
        (folder / f"{number}.png").write_bytes(b"x")
    (folder / "t.csv").write_text(text)
    return folder / "t.csv"


def rows(*cells: tuple[str, str]) -> str:
    return "file,label,patient\n" + "".join(f"{n}.png,{label},{group}\n" for n, (label, group) in enumerate(cells))


def error_of(source: Path, **options: object) -> str:
    with pytest.raises(InputError) as caught:
        list_source(source, DatasetOptions(**options))  # type: ignore[arg-type]
    return str(caught.value)


def test_spellings_of_a_group_are_refused_with_the_option_that_joins_them(tmp_path: Path) -> None:
    source = table(
        tmp_path, rows(("a", "P0"), ("a", "p0"), ("a", "P 0"), ("a", "P0"), ("b", "2"), ("b", "002"), ("b", "3"))
    )
    message = error_of(source)
    assert "2 groups are written in several ways" in message
    assert "'002', '2'; 'P0', 'P 0', 'p0'" in message
    assert "--join-groups" in message
    listing = list_source(source, DatasetOptions(join_groups=True))
    grouped = with_groups(listing, None, join=True)
    assert [entry.group for entry in grouped.entries] == ["P0", "P0", "P0", "P0", "002", "002", "3"]
    assert grouped.meaning == "column patient of t.csv, spellings joined"
    assert grouped.notes == (
        "Groups joined from several spellings (2), each under the name that most of its images have: "
        "'002', '2'; 'P0', 'P 0', 'p0'.",
    )


@pytest.mark.parametrize("rule", ["parent", r"/([^/]+)/[^/]+$"])
def test_spellings_of_groups_in_paths(rule: str) -> None:
    files = ["a/P 1/1.png", "a/P1/2.png", "b/p2/3.png", "b/p\u00a02/4.png"]
    listing = Listing("dataset x", Path("/x"), [Entry(file, file[0]) for file in files])
    with pytest.raises(InputError, match="2 groups are written in several ways") as caught:
        with_groups(listing, rule)
    assert r"'p\xa02'" in str(caught.value)
    assert len({entry.group for entry in with_groups(listing, rule, join=True).entries}) == 2


def test_words_for_a_missing_group_are_no_patient(tmp_path: Path) -> None:
    cells = ("nan", "NaN", "p1", "", "unknown", "nan", "p2")
    source = table(tmp_path, rows(*[("ab"[n % 2], group) for n, group in enumerate(cells)]))
    for join in (False, True):
        message = error_of(source, join_groups=join)
        assert "column 'patient': 5 rows without a group (data rows '1', '2', '4', '5', '6'; " in message
        assert "2 'nan', 1 'NaN', 1 empty, 1 'unknown')" in message
    listing = Listing("dataset x", Path("/x"), [Entry("a/unknown/1.png", "a"), Entry("b/p/2.png", "b")])
    with pytest.raises(
        InputError,
        match=r"1 images have a word for a missing value as their group .*1 'unknown'.*: "
        r"'a/unknown/1.png'",
    ):
        with_groups(listing, "parent")


def test_words_for_a_missing_label_are_no_class(tmp_path: Path) -> None:
    words = ("nan", "a", "N/A", "b", "?", "none", "a", "b")
    source = table(tmp_path, rows(*[(label, f"p{n}") for n, label in enumerate(words)]))
    message = error_of(source)
    assert "column 'label': 4 rows without a label (data rows '1', '3', '5', '6'; 1 'nan', 1 'N/A', 1 '?'" in message
    known = list_source(table(tmp_path, rows(("none", "p0"), ("a", "p1"))), DatasetOptions(classes=("a", "none")))
    assert [entry.label for entry in known.entries] == ["none", "a"]
    assert "'nan' stands for a missing value" in " ".join(name_faults(["nan", "a"]))
    assert name_faults(["none", "unknown"]) == []


@pytest.mark.parametrize(
    ("cells", "classes"),
    [
        (["0", "0.0", "1", "1.0"], "0011"),
        (["0", "False", "True", "1.0"], "0011"),
        (["False", "FALSE", "true", "True"], "0011"),
        (["yes", "No", "Yes", "0"], "1010"),
        (["1.0", "2", "2.0", "3.0"], ["1.0", "2", "2", "3.0"]),
        (["0.0", "1.0", "0.0", "1.0"], ["0.0", "1.0", "0.0", "1.0"]),
        (["yes", "no", "yes", "no"], ["yes", "no", "yes", "no"]),
    ],
)
def test_one_value_is_one_class(tmp_path: Path, cells: list[str], classes: list[str]) -> None:
    listing = list_source(table(tmp_path, rows(*[(label, f"p{n}") for n, label in enumerate(cells)])), DatasetOptions())
    assert [entry.label for entry in listing.entries] == list(classes)
    assert bool(listing.notes) == (list(classes) != cells)
    assert all("are read as one class each" in note for note in listing.notes)


def test_values_are_called_as_the_study_calls_them(tmp_path: Path) -> None:
    source = table(tmp_path, rows(("0.0", "p"), ("1.0", "q"), ("1.0", "r")))
    for classes in (("0", "1"), ("False", "True")):
        listing = list_source(source, DatasetOptions(classes=classes))
        assert [entry.label for entry in listing.entries] == [classes[0], classes[1], classes[1]]


def test_words_of_yes_and_no_beside_other_numbers_are_refused(tmp_path: Path) -> None:
    source = table(tmp_path, rows(("True", "p"), ("1", "q"), ("2", "r")))
    assert "True or False are mixed with numbers ('1', '2', 'True')" in error_of(source)


def test_folders_of_one_number_are_refused() -> None:
    assert "'0', '0.0' differ only in case" in " ".join(name_faults(["0", "0.0", "1"]))


@pytest.mark.parametrize(
    ("cells", "found"),
    [
        (["a;b", "a", "b"], "1 rows hold several labels ('a;b')"),
        (["a/b", "a", "b", "a + b"], "2 rows hold several labels ('a/b', 'a + b')"),
        (["a|b", "a", "b|c"], "2 rows hold several labels ('a|b', 'b|c')"),
        (['"a, b"', "a", "b"], "1 rows hold several labels ('a, b')"),
        (["\"['a', 'b']\"", "a", "b"], "1 rows hold several labels"),
    ],
)
def test_several_labels_in_a_cell_are_refused(tmp_path: Path, cells: list[str], found: str) -> None:
    message = error_of(table(tmp_path, rows(*[(label, f"p{n}") for n, label in enumerate(cells)])))
    assert found in message
    assert "expected one class for each image" in message


def test_a_comma_may_belong_to_a_name(tmp_path: Path) -> None:
    listing = list_source(table(tmp_path, rows(('"carcinoma, ductal"', "p"), ("w/o finding", "q"))), DatasetOptions())
    assert [entry.label for entry in listing.entries] == ["carcinoma, ductal", "w/o finding"]


ONE_HOT = "image,MEL,NV,BCC,patient\n0.png,1.0,0.0,0,p\n1.png,False,True,0,q\n2.png,0,0,1,r\n"


def test_a_column_for_each_class_is_read_on_request(tmp_path: Path) -> None:
    source = table(tmp_path, ONE_HOT)
    message = error_of(source)
    assert "no label column among its usual names" in message
    assert "3 columns hold exactly one 1 in each row; if each is a class: --label-column MEL,NV,BCC" in message
    divided = table(tmp_path, "image,MEL,NV,is_train,test\n0.png,1,0,1,0\n1.png,0,1,0,1\n")
    assert "2 columns hold exactly one 1 in each row; if each is a class: --label-column MEL,NV" in error_of(divided)
    source = table(tmp_path, ONE_HOT)
    listing = list_source(source, DatasetOptions(label_column="MEL, NV,bcc"))
    assert [entry.label for entry in listing.entries] == ["MEL", "NV", "BCC"]
    assert listing.notes == ("Labels are read from 3 columns of 0 and 1, one class each: MEL, NV, BCC.",)
    assert listing.entries[0].extra == {}
    wrong = table(tmp_path, ONE_HOT + "3.png,1,1,0,s\n4.png,0,0,0,t\n5.png,x,0,1,u\n")
    message = error_of(wrong, label_column="MEL,NV,BCC")
    assert "1 rows have several 1 in these columns (data rows '4')" in message
    assert "1 rows have no 1 in these columns (data rows '5')" in message
    assert "1 rows have cells other than 0 and 1 in these columns (data rows '6')" in message
    assert "no such column" in error_of(source, label_column="MEL,AK")


def test_patients_hold_slides(tmp_path: Path) -> None:
    head, cells = "file,label,slide,patient\n", "0.png,a,s1,p1\n1.png,a,s2,p1\n2.png,b,s3,p2\n3.png,b,s3,p2\n"
    source = table(tmp_path, head + cells)
    listing = list_source(source, DatasetOptions())
    assert [entry.group for entry in listing.entries] == ["p1", "p1", "p2", "p2"]
    assert listing.group_meaning == "column patient of t.csv"
    assert listing.notes == (
        "Groups are read from column 'patient', not from 'slide'; for another: --group-column slide",
    )
    (warning,) = list_source(source, DatasetOptions(group_column="slide")).notes
    assert "--group-column slide may divide one patient between training and test" in warning
    table(tmp_path, head + cells + "4.png,a,s1,p2\n")
    told, warning = list_source(source, DatasetOptions()).notes
    assert told.startswith("Groups are read from column 'patient'")
    assert warning.startswith("Warning: one value of 'slide' occurs with several of 'patient'.")


def test_a_rule_that_divides_a_column_of_patients_warns(tmp_path: Path) -> None:
    source = table(tmp_path, "file,label,patient\n0.png,a,p1\n1.png,a,P1\n2.png,b,p2\n3.png,b,nan\n4.png,b,\n")
    rule = r"([0-9]+)\.png"
    (warning,) = with_groups(list_source(source, DatasetOptions(group_by=rule)), rule).notes
    assert "groups read by --group-by divide 1 of the 2 values of column 'patient'" in warning
    assert warning.endswith("--group-column patient")


def test_columns_of_one_level(tmp_path: Path) -> None:
    head, cells = "file,label,PatientID,subject\n", "0.png,a,p1,s1\n1.png,a,p1,s1\n2.png,b,p2,s2\n"
    source = table(tmp_path, head + cells)
    assert [entry.group for entry in list_source(source, DatasetOptions()).entries] == ["p1", "p1", "p2"]
    table(tmp_path, head + cells + "3.png,b,p2,s3\n")
    assert "2 columns may be the group (PatientID, subject)" in error_of(source)
