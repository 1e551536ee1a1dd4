"""What commands say: answers to stdout, and on the way to stderr."""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
from typing import TYPE_CHECKING, Any, TextIO

import click

from orchestrator.store.damage import met
from orchestrator.store.errors import plain_text

if TYPE_CHECKING:
    from orchestrator.results.report import Report
    from orchestrator.running.progress import Display

_UNBROKEN = "\xa0"


def echo_json(data: dict[str, Any]) -> None:
    """A command's answer as JSON, with what it left out because it cannot be read."""
    click.echo(json.dumps({**data, "damaged": [one.as_json() for one in met()]}, indent=2))


def echo(text: str = "") -> None:
    """A command's answer as text. Names and notes in it may be anybody's: a terminal obeys none of them."""
    click.echo(_fitted(plain_text(text), sys.stdout))


def answer(report: Report, as_json: bool) -> None:
    """A command's answer in the form that was asked for."""
    if as_json:
        echo_json(report.as_json())
    else:
        echo(report.as_text())


def say(text: str) -> None:
    click.echo(_fitted(plain_text(text), sys.stderr), err=True)


def fitted(text: str, width: int) -> str:
    """Lines longer than a terminal is wide go on in the next one, further to the right, at a word: a terminal would
    divide numbers. `0.960 ± 0.008` stays together, and so does a command to be copied, to the end of its line."""
    return "\n".join(_folded(line, width) for line in text.split("\n"))


def _folded(line: str, width: int) -> str:
    if len(line) <= width:
        return line
    prose, command, more = line.partition("orch ")
    whole = prose + (command + more).replace(" ", _UNBROKEN)
    whole = whole.replace(" ± ", f"{_UNBROKEN}±{_UNBROKEN}")
    indent = " " * (len(line) - len(line.lstrip(" ")) + 4)
    folded = textwrap.wrap(
        whole,
        max(width, 40),
        subsequent_indent=indent,
        expand_tabs=False,
        replace_whitespace=False,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return "\n".join(folded).replace(_UNBROKEN, " ")


def _fitted(text: str, stream: TextIO) -> str:
    return fitted(text, shutil.get_terminal_size().columns) if stream.isatty() else text


def on_the_way(as_json: bool = False) -> Display:
    """What a command shows while it works, `say` and `count`, for a `with`; an answer in JSON comes without counts."""
    from orchestrator.running.progress import Display

    return Display(counts=not as_json)
