"""What commands say on the way: to stderr, for stdout is for data."""

from __future__ import annotations

import time

import click

LINE_EVERY_S = 10.0


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
