"""Texts that others wrote command no terminal, whichever command says them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from orchestrator.commands.said import echo, say
from orchestrator.running.progress import Display
from tests.support.checkout import ROOT

EVIL = "a\x1b]0;title\x07 b\x1b[31m\x9b2J"


def test_what_is_said_commands_no_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    echo(f"{EVIL}\tline\nnext")
    say(EVIL)
    Display().say(EVIL)
    out, err = capfd.readouterr()
    assert out == "a?]0;title? b?[31m?2J\tline\nnext\n"
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", err)
    assert err.count("title") == 2


@pytest.mark.parametrize("file", sorted((ROOT / "orchestrator" / "commands").glob("*.py")), ids=lambda file: file.name)
def test_no_command_says_text_in_another_way(file: Path) -> None:
    """JSON escapes what a terminal would obey."""
    if file.name != "said.py":
        lines = [line for line in file.read_text().splitlines() if "click.echo(" in line or "print(" in line]
        assert [line for line in lines if "json.dumps(" not in line] == []
