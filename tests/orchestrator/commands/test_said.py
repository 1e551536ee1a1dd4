"""Texts that others wrote command no terminal, whichever command says them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from orchestrator.commands.said import echo, fitted, say
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


def test_no_number_and_no_command_is_divided_by_the_end_of_a_line() -> None:
    row = "  1.  mobilenetv2_035 u=1 lr 0.01 batch 16       0.960 ± 0.008   0.284 ± 0.018  3"
    for width in range(40, len(row)):
        lines = fitted(row, width).split("\n")
        assert [line.split() for line in lines] != [row.split()]
        assert " ".join(" ".join(lines).split()) == " ".join(row.split())
        for kept in ("0.960 ± 0.008", "0.284 ± 0.018"):
            assert any(kept in line for line in lines), width
    command = "orch search slides resnet18 --lr 1e-4,1e-3 --repeats 20"
    assert fitted(f"Some words that say so: {command}", 60).split("\n")[-1].strip() == command
    assert fitted(row, len(row)) == row


@pytest.mark.parametrize("file", sorted((ROOT / "orchestrator" / "commands").glob("*.py")), ids=lambda file: file.name)
def test_no_command_says_text_in_another_way(file: Path) -> None:
    """JSON escapes what a terminal would obey."""
    if file.name != "said.py":
        lines = [line for line in file.read_text().splitlines() if "click.echo(" in line or "print(" in line]
        assert [line for line in lines if "json.dumps(" not in line] == []
