"""What a running search shows on stderr: a live table on a terminal, one line every 30 s elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from orchestrator.store.errors import plain_text

LINE_EVERY_S = 30.0
TABLE_ROWS = 12


@dataclass(frozen=True)
class Row:
    """One configuration that is being trained or was finished last."""

    name: str
    done: int
    asked: int
    running_epochs: str


@dataclass(frozen=True)
class Snapshot:
    """State of a search at one moment. epochs count those of every repeat."""

    act: str
    epochs_done: int
    epochs_asked: int
    repeats_done: int
    repeats_asked: int
    epochs_per_second: float
    failed: int
    preparing: str
    rows: Sequence[Row] = ()
    decided: str = ""
    """What a search that decides by results said last."""
    epochs_unlike: int = 0
    """Of those that are left, epochs of networks of which nobody has trained one: how long they take is not known."""

    @property
    def seconds_left(self) -> float | None:
        """At the pace so far; without `epochs_unlike`, whose pace nobody knows."""
        left = self.epochs_asked - self.epochs_done - self.epochs_unlike
        return left / self.epochs_per_second if self.epochs_per_second > 0 and left > 0 else None

    def line(self) -> str:
        """One plain line."""
        if not self.repeats_asked:
            return f"{self.act}: deciding what to train"
        parts = [
            f"{self.act}: {self.repeats_done}/{self.repeats_asked} repeats",
            f"{self.epochs_done}/{self.epochs_asked} epochs",
        ]
        if self.preparing:
            parts.append(self.preparing)
        if self.epochs_per_second > 0:
            parts.append(f"{self.epochs_per_second:.1f} epochs/s")
        if self.epochs_unlike:
            known = f"{duration(self.seconds_left)} and " if self.seconds_left is not None else ""
            parts.append(f"{known}{self.epochs_unlike} epochs of deeper networks left, whose pace is not known yet")
        elif self.seconds_left is not None:
            parts.append(f"{duration(self.seconds_left)} left")
        if self.failed:
            parts.append(f"{self.failed} failed")
        return ", ".join(parts) + (f" ({self.decided})" if self.decided else "")


class Display:
    """Shows snapshots; plain messages may come in between. Only the driver's main thread calls it."""

    def __init__(self, stream: TextIO | None = None, line_every_s: float = LINE_EVERY_S) -> None:
        self.console = Console(file=stream or sys.stderr, highlight=False)
        self.line_every_s = line_every_s
        self._live: Live | None = None
        self._last_line = -line_every_s
        self._last_update = 0.0

    def say(self, message: str) -> None:
        """One message, outside the table."""
        self.console.print(Text(plain_text(message)))

    def table(self, table: Table) -> None:
        self.console.print(table)

    def is_due(self) -> bool:
        """Whether `show` would do anything now; snapshots cost a little to make."""
        now = time.monotonic()
        return (
            now - self._last_update >= 1.0 if self.console.is_terminal else now - self._last_line >= self.line_every_s
        )

    def show(self, snapshot: Snapshot) -> None:
        self._last_update = time.monotonic()
        if not self.console.is_terminal:
            self._last_line = self._last_update
            self.say(snapshot.line())
            return
        if self._live is None:
            self._live = Live(console=self.console, refresh_per_second=4, transient=True)
            self._live.start()
        self._live.update(_rendered(snapshot))

    def close(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None


def duration(seconds: float) -> str:
    """`45 s`, `12 min`, `3 h 05 min`, `2 d 04 h`."""
    whole = max(0, round(seconds))
    if whole < 90:
        return f"{whole} s"
    minutes = round(whole / 60)
    if minutes < 90:
        return f"{minutes} min"
    hours = minutes // 60
    if hours < 48:
        return f"{hours} h {minutes % 60:02d} min"
    return f"{hours // 24} d {hours % 24:02d} h"


def size(count: float) -> str:
    """Bytes in decimal units: `512 kB`, `1.3 GB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit in ("B", "kB") else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def _rendered(snapshot: Snapshot) -> Group:
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("configuration")
    table.add_column("repeats", justify="right")
    table.add_column("epoch", justify="right")
    for row in snapshot.rows[:TABLE_ROWS]:
        table.add_row(row.name, f"{row.done}/{row.asked}", row.running_epochs)
    hidden = len(snapshot.rows) - TABLE_ROWS
    if hidden > 0:
        table.add_row(f"… and {hidden} more", "", "")
    line = Text(snapshot.line(), style="bold")
    return Group(table, line) if snapshot.rows else Group(line)
