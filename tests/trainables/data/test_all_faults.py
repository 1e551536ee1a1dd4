"""Everything that is wrong with a table comes in one error, as far as it can be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.store.errors import Faults, InputError
from trainables.data.dataset import load_dataset
from trainables.data.options import DatasetOptions


def error_of(folder: Path, *rows: str, header: str = "file,label,patient", **options: object) -> InputError:
    """What loading a table of these rows raises; 1.png to 6.png are there, and nothing of them is decoded."""
    for number in range(1, 7):
        (folder / f"{number}.png").write_bytes(b"x")
    (folder / "t.csv").write_text("\n".join([header, *rows]) + "\n")
    with pytest.raises(InputError) as caught:
        load_dataset(folder / "t.csv", DatasetOptions(**options))  # type: ignore[arg-type]
    return caught.value


def test_faults_of_columns_files_labels_groups_and_splits_come_together(tmp_path: Path) -> None:
    rows = ("1.png,a,p,train", "7.png,nan,q,valid", "3.png,b,,test", "4.png,b,P,tune")
    error = error_of(tmp_path, *rows, header="file,label,patient,split", fold_column="folds")
    found = "\n".join(error.faults)
    assert "--fold-column 'folds': the table has no such column" in found
    assert "column 'split' holds 'tune'" in found
    assert "1 of 4 files are missing" in found
    assert "1 rows without a label (data rows '2'; 1 'nan')" in found
    assert "1 rows without a group (data rows '3'; 1 empty)" in found
    assert "1 group is written in several ways" in found
    assert len(error.faults) == 6
    assert error.exit_status == 2
    assert "The table has the columns 'file', 'label', 'patient', 'split'." in error.advice


def test_a_missing_column_hides_no_fault_of_another(tmp_path: Path) -> None:
    error = error_of(tmp_path, "1.png,a,p", "2.png,?,q", header="name_of,label,patient")
    assert "no file column" in error.faults[0]
    assert "1 rows without a label" in error.faults[1]
    assert len(error.faults) == 2


def test_two_columns_for_groups_hide_no_missing_file(tmp_path: Path) -> None:
    error = error_of(tmp_path, "1.png,a,1,2", "2.png,b,1,3", "9.png,b,4,3", header="file,label,patient,subject")
    assert len(error.faults) == 2
    assert "2 columns may be the group (patient, subject)" in str(error)
    assert "1 of 3 files are missing" in str(error)
    assert "no groups given" not in str(error)


def test_groups_that_nobody_said_stand_beside_other_faults(tmp_path: Path) -> None:
    error = error_of(tmp_path, "1.png,a", "9.png,b", header="file,label")
    assert "1 of 2 files are missing" in error.faults[0]
    assert "no groups given" in error.faults[1]
    assert "--group-by none" in error.advice
    error = error_of(tmp_path, "1.png,a", "9.png,b", header="file,label", group_by="(x")
    assert "found an invalid one" in error.faults[1]


def test_groups_in_two_splits_and_classes_that_lack_one_are_told_before_images_are_read(tmp_path: Path) -> None:
    rows = ("1.png,a,p,train", "2.png,a,p,valid", "3.png,b,r,train", "9.png,b,s,train")
    error = error_of(tmp_path, *rows, header="file,label,patient,split")
    assert [fault.partition(":")[0] for fault in error.faults] == [
        f"1 of 4 files are missing below {tmp_path}",
        "1 group (p (train, valid)) in more than one split",
        "class 'b' has no image in valid",
    ]


def test_faults_of_folds_stand_beside_others(tmp_path: Path) -> None:
    rows = ("1.png,a,p,0", "2.png,b,p,1", "3.png,a,q,1", "9.png,b,r,2")
    error = error_of(tmp_path, *rows, header="file,label,patient,part", fold_column="part")
    text = str(error)
    assert "1 of 4 files are missing" in text
    assert "none of the folds '0', '1', '2' was chosen as the test split" in text
    assert "1 group (p (0, 1)) in more than one fold" in text
    assert "class 'b' has no image in 1 fold ('0')" in text


def test_one_class_is_no_fault_where_labels_are_unknown(tmp_path: Path) -> None:
    error = error_of(tmp_path, "1.png,a,p", "2.png,,q")
    assert len(error.faults) == 1
    assert "one class only" in str(error_of(tmp_path, "1.png,a,p", "2.png,a,q"))


def test_collected_errors_become_faults_with_their_advice() -> None:
    faults = Faults("dataset d")
    inner = Faults("dataset d")
    inner.extend(["one", "two", "one"])
    with faults.collecting():
        inner.raise_if_any("Do this.")
    with faults.collecting():
        raise InputError("dataset d: three", "Do that.")
    with faults.collecting():
        raise InputError("dataset d: two", "Do this.")
    assert faults.found == ["one", "two", "three"]
    with pytest.raises(InputError) as caught:
        faults.raise_if_any("Then go on.")
    assert str(caught.value) == "dataset d: 3 faults\n  - one\n  - two\n  - three\nDo this.\nDo that.\nThen go on."
    assert caught.value.faults == ("one", "two", "three")
