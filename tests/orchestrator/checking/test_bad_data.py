"""Whatever stops a search stops a check with the same words, and whatever else is wrong is told beside it."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

from orchestrator.command_line import main
from tests.support.bad_inputs import CASES, SPACES
from tests.support.checkout import ROOT
from tests.support.desk import write_images

MESSAGES = tomllib.loads((ROOT / "tests" / "support" / "bad_input_messages.toml").read_text())


OF_DATA = list(CASES)[: list(CASES).index(next(iter(SPACES)))]
"""The cases of `bad_data`, which stand before all others."""
OWN = ["search", "mine", "squeezenet1_1", "--weights", "none", "--data"]
"""How a search of the user's images begins; what follows are options, about data or not."""


def plain(text: str, desk: Path) -> str:
    """Without line breaks and the bullets of a list."""
    return " ".join(word for word in text.replace(str(desk), "{desk}").split() if word != "-")


@pytest.mark.parametrize("name", OF_DATA)
def test_the_words_of_a_search(tmp_path: Path, name: str) -> None:
    write_images(tmp_path / "data")
    arguments = CASES[name](tmp_path)
    assert arguments[:6] == OWN
    result = CliRunner().invoke(main, ["data", "check", *arguments[6:], "--json"])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert "Traceback" not in result.output
    if not result.stdout:
        assert result.exit_code == 2
        assert "Usage" in result.stderr or re.fullmatch(_pattern(name, tmp_path), plain(result.stderr, tmp_path))
        return
    assert result.exit_code in (1, 2)
    stops = [one for one in json.loads(result.stdout)["findings"] if one["name"] == "stops a search"]
    said = [
        plain(" ".join([one["title"], *(item["words"] for item in one["items"]), one["advice"]]), tmp_path)
        for one in stops
    ]
    pattern = _pattern(name, tmp_path).replace("Error:", "A\\ search\\ stops\\ here:", 1)
    assert any(re.fullmatch(pattern, one) for one in said), (pattern, said)


def _pattern(name: str, desk: Path) -> str:
    return ".*?".join(map(re.escape, plain(MESSAGES[name], desk).split("…")))
