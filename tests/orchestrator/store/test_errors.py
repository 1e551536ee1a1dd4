"""Errors that users meet survive the way between processes and say what to do next."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from orchestrator.store.damage import Damaged
from orchestrator.store.errors import DamagedRecordError, InputError, MissingFileError, OrchError, StorageError
from orchestrator.store.storage import LocalStorage


@pytest.mark.parametrize(
    "error",
    [
        InputError("a", "b"),
        StorageError("a"),
        DamagedRecordError("a"),
        DamagedRecordError("a", "b"),
        MissingFileError("dataset/manifest.parquet"),
    ],
    ids=repr,
)
def test_errors_survive_pickling(error: OrchError) -> None:
    again = pickle.loads(pickle.dumps(error))  # noqa: S301  # as Ray does between its own processes
    assert type(again) is type(error)
    assert (again.message, again.advice, str(again)) == (error.message, error.advice, str(error))


def test_a_missing_file_is_an_answer_and_an_error_with_advice(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as raised:
        LocalStorage(tmp_path).read("study.toml")
    assert isinstance(raised.value, OrchError)
    assert str(raised.value) == "study.toml is missing\nPut the file back from a copy of the study."
    assert raised.value.exit_status == 1


def test_texts_of_others_do_not_command_a_terminal() -> None:
    error = OrchError("a \x1b]52;c;ZWNobw==\x07 \x9b31m b\tc\nd é\x00", "\x1b[2J")
    assert error.message == "a ?]52;c;ZWNobw==? ?31m b\tc\nd é?"
    assert error.advice == "?[2J"
    assert "\x1b" not in Damaged("x", "a\x1b[31m", "b\x1b[0m").as_text()
