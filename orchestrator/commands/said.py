"""What commands say on the way: to stderr, for stdout is for data."""

from __future__ import annotations

import json
import time
from typing import Any

import click

from orchestrator.store.damage import met

LINE_EVERY_S = 10.0


def echo_json(data: dict[str, Any]) -> None:
    """A command's answer as JSON, with what it left out because it cannot be read."""
    click.echo(json.dumps({**data, "damaged": [one.as_json() for one in met()]}, indent=2))


def say(text: str) -> None:
    click.echo(text, err=True)


class Lines:
    """How far something is, at most every few seconds."""

    def __init__(self) -> None:
        self.told_at = time.monotonic()

    def __call__(self, act: str, done: int, total: int) -> None:
        if time.monotonic() - self.told_at >= LINE_EVERY_S:
            self.told_at = time.monotonic()
            say(f"{done}/{total} {act}")
