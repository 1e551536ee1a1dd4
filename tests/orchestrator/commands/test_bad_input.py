"""Every bad input gets its own exact message and exit status, and harms nothing."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

from orchestrator.command_line import main
from tests.support.bad_inputs import CASES, POISONED
from tests.support.checkout import ROOT
from tests.support.desk import write_images

MESSAGES = tomllib.loads((ROOT / "tests" / "support" / "bad_input_messages.toml").read_text())
OF_THE_STORAGE = {
    *(f"a study with{how} {what}" for how in ("out", " half of", " nothing of")
      for what in ("the images", "the partition", "a configuration")),
}  # fmt: skip
"""Those that end with status 1, because files of a study are not as they were written."""


@pytest.fixture(autouse=True)
def nothing_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    def started(*_: object) -> int:
        raise AssertionError("the command went on to train")

    monkeypatch.setattr("orchestrator.train.run", started)


def listed(folder: Path) -> set[Path]:
    return {path.relative_to(folder) for path in folder.rglob("*") if "cache" not in path.parts}


def test_there_is_a_message_for_every_case() -> None:
    assert MESSAGES.keys() == CASES.keys()
    assert len(CASES) >= 100


@pytest.mark.parametrize("name", CASES)
def test_bad_input(tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    write_images(tmp_path / "data")
    arguments = CASES[name](tmp_path)
    if arguments[0] == "search":
        arguments += ["--studies", str(tmp_path / "studies"), "--cache", str(tmp_path / "cache")]
    capsys.readouterr()
    before = listed(tmp_path)
    result = CliRunner().invoke(main, arguments)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == (1 if name in OF_THE_STORAGE else 2)
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    assert "\x1b" not in result.stderr
    told = " ".join(result.stderr.split())
    told = told[told.index("Error:") :].replace(str(tmp_path), "{desk}")
    assert re.fullmatch(".*?".join(map(re.escape, MESSAGES[name].split("…"))), told), told
    assert not (tmp_path / POISONED).exists()
    assert listed(tmp_path) == before, "a refused command leaves nothing"


def test_the_traceback_is_shown_on_request(tmp_path: Path) -> None:
    write_images(tmp_path / "data")
    arguments = CASES["a poisoned pickle"](tmp_path)
    where = ["--studies", str(tmp_path / "studies"), "--cache", str(tmp_path / "cache")]
    told = CliRunner().invoke(main, ["--debug", *arguments, *where]).stderr
    assert "Traceback" in told
    assert "Error: weights" in told
