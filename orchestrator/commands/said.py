"""What commands say: answers to stdout, and on the way to stderr."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from orchestrator.store.damage import met
from orchestrator.store.errors import plain_text

if TYPE_CHECKING:
    from orchestrator.results.report import Report
    from orchestrator.running.progress import Display


def echo_json(data: dict[str, Any]) -> None:
    """A command's answer as JSON, with what it left out because it cannot be read."""
    click.echo(json.dumps({**data, "damaged": [one.as_json() for one in met()]}, indent=2))


def echo(text: str = "") -> None:
    """A command's answer as text. Names and notes in it may be anybody's: a terminal obeys none of them."""
    click.echo(plain_text(text))


def answer(report: Report, as_json: bool) -> None:
    """A command's answer in the form that was asked for."""
    if as_json:
        echo_json(report.as_json())
    else:
        echo(report.as_text())


def say(text: str) -> None:
    click.echo(plain_text(text), err=True)


def on_the_way(as_json: bool = False) -> Display:
    """What a command shows while it works, `say` and `count`, for a `with`; an answer in JSON comes without counts."""
    from orchestrator.running.progress import Display

    return Display(counts=not as_json)
