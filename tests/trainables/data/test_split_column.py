"""Which column of a table is a given partition: read, or asked about, never passed over."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from orchestrator.store.errors import InputError
from trainables.data.options import DatasetOptions
from trainables.data.source import list_source
from trainables.data.split_words import split_of, suggested_words


def table(folder: Path, columns: dict[str, Sequence[str]]) -> Path:
    """Nine images of three groups with these columns, a value for each group."""
    lines = [",".join(("file", "label", "group", *columns))]
    for number in range(9):
        (folder / f"{number}.png").write_bytes(b"x")
        values = (held[number // 3] for held in columns.values())
        lines.append(",".join((f"{number}.png", "ab"[number % 2], f"g{number // 3}", *values)))
    (folder / "t.csv").write_text("\n".join(lines))
    return folder / "t.csv"


def splits(source: Path, **options: object) -> list[str]:
    listing = list_source(source, DatasetOptions(**options))  # type: ignore[arg-type]
    return [entry.split for entry in listing.entries][::3]


def error_of(source: Path, **options: object) -> str:
    with pytest.raises(InputError) as caught:
        list_source(source, DatasetOptions(**options))  # type: ignore[arg-type]
    return str(caught.value)


GIVEN = ["train", "valid", "test"]


@pytest.mark.parametrize(
    "words",
    [
        ("Training_Set", "Validation_Set", "Test_Set"),
        ("training", "val", "testing"),
        ("TRAIN", "dev", "TEST"),
        ("train_data", "valid-images", "test data"),
        ("TrainSet", "ValSet", "testset"),
        ("1_train", "2_val", "3_test"),
    ],
)
def test_usual_words_in_any_spelling(words: tuple[str, ...]) -> None:
    assert [split_of(word) for word in words] == GIVEN


@pytest.mark.parametrize(
    "word", ["tr", "trainval", "train2", "train_test", "holdout", "eval", "normal", "contest", "", "0"]
)
def test_what_is_not_sure_is_no_split(word: str) -> None:
    assert split_of(word) is None


@pytest.mark.parametrize(
    "name", ["split", "Phase", "dataset", "SUBSET", "set", "fold", "partition", "data_split", "cv split"]
)
def test_columns_of_usual_names_with_usual_words_are_read(tmp_path: Path, name: str) -> None:
    source = table(tmp_path, {name: ("train_set", "val_set", "test_set")})
    assert splits(source) == GIVEN
    assert splits(source, split_column="none") == ["", "", ""]
    assert list_source(source, DatasetOptions(split_column="none")).entries[0].extra == {name: "train_set"}


@pytest.mark.parametrize("name", ["split", "set", "partition", "data_split"])
def test_unknown_words_stop_and_are_said_with_an_option(tmp_path: Path, name: str) -> None:
    source = table(tmp_path, {name: ("tr", "va", "te")})
    message = error_of(source)
    assert "'te' in 3 rows, 'tr' in 3 rows, 'va' in 3 rows" in message
    assert f"--split-column {name} --split-words train=tr,valid=va,test=te" in message
    assert "--split-column none" in message
    words = (("tr", "train"), ("va", "valid"), ("te", "test"))
    assert splits(source, split_column=name, split_words=words) == GIVEN
    assert splits(source, split_words=words) == GIVEN, "the name is usual, now the words are known"
    assert "--split-words names 'nobody'" in error_of(source, split_words=(*words, ("nobody", "test")))
    assert "no column is read as splits" in error_of(source, split_words=words, split_column="none")


def test_numbers_may_be_folds_and_are_asked_about(tmp_path: Path) -> None:
    message = error_of(table(tmp_path, {"fold": ("0", "1", "2")}))
    assert "give --fold-column fold --test-fold 2 if these are folds" in message
    assert "--split-words train=WORD,valid=WORD,test=WORD" in message


@pytest.mark.parametrize(
    ("name", "values", "proposed"),
    [
        ("is_train", ("1", "0", "1"), "train=1,valid=0"),
        ("in_test_set", ("True", "False", "False"), "test=True,train=False"),
        ("istrain", ("yes", "no", "no"), "train=yes,valid=no"),
        ("Validation", ("0", "1", "0"), "valid=1,train=0"),
    ],
)
def test_yes_and_no_are_asked_about(tmp_path: Path, name: str, values: tuple[str, ...], proposed: str) -> None:
    source = table(tmp_path, {name: values})
    assert f"--split-column {name} --split-words {proposed}" in error_of(source)
    words = tuple(tuple(pair.casefold().split("=")[::-1]) for pair in proposed.split(","))
    assert set(splits(source, split_column=name, split_words=words)) == {
        pair.split("=")[0] for pair in proposed.split(",")
    }


def test_a_column_of_any_name_is_asked_about_where_its_words_are_splits(tmp_path: Path) -> None:
    assert "give --split-column ward, or --split-column none" in error_of(table(tmp_path, {"ward": GIVEN}))
    assert "--split-words train=trainval,valid=WORD,test=holdout" in error_of(
        table(tmp_path, {"phase": ("trainval", "holdout", "x")})
    )


@pytest.mark.parametrize(
    ("name", "values"),
    [("phase", ("G1", "S", "G2")), ("dataset", ("BreakHis", "BACH", "own")), ("train", ("ICE", "TGV", "bus"))],
)
def test_other_columns_stay_what_they_are(tmp_path: Path, name: str, values: tuple[str, ...]) -> None:
    source = table(tmp_path, {name: values})
    assert splits(source) == ["", "", ""]
    assert list_source(source, DatasetOptions()).entries[0].extra == {name: values[0]}


def test_two_columns_are_one_question(tmp_path: Path) -> None:
    source = table(tmp_path, {"split": GIVEN, "fold": ("0", "1", "2")})
    message = error_of(source)
    assert "2 columns may be the split (split, fold): give --split-column split or --split-column fold" in message
    assert "--fold-column fold for folds" in message
    assert splits(source, split_column="split") == GIVEN


def test_rows_without_a_split_and_a_misspelt_one(tmp_path: Path) -> None:
    message = error_of(table(tmp_path, {"split": ("train", "", "tets")}))
    assert "column 'split' holds 'tets', expected train, valid or test in every row: correct these rows" in message
    assert "column 'split': 3 rows without a split" in message


def test_what_is_proposed_is_guessed_by_how_words_begin() -> None:
    assert suggested_words(["held_out", "learn", "tuning"]) == "train=learn,valid=tuning,test=held_out"
    assert suggested_words(["0", "1"]) == "train=WORD,valid=WORD,test=WORD"
    assert suggested_words(["eval"], {"train", "valid"}) == "test=eval"
    assert suggested_words(["development"], {"valid", "test"}) == "train=development"
    assert suggested_words(["eval"], {"train", "test"}) == "valid=eval"
    assert suggested_words(["train2"], {"train", "valid"}) == "train=train2"
    assert suggested_words(["tr"]) == "train=tr", "what is known already needs no option"
