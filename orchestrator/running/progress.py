"""What a command shows on stderr while it works: a live table or a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self, TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from orchestrator.running.counting import BAR_WIDTH, Counted
from orchestrator.running.time_left import NOTHING_KNOWN, Left
from orchestrator.store.errors import plain_text

LINE_EVERY_S = 30.0
COUNT_EVERY_S = 10.0
"""The same of what is counted outside a search."""
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
    left: Left = NOTHING_KNOWN

    @property
    def is_waiting(self) -> bool:
        """Whether workers were asked for epochs and have trained none yet: the pace is NaN then."""
        return not self.epochs_per_second > 0 and self.epochs_done < self.epochs_asked

    def line(self) -> str:
        """One plain line."""
        if not self.repeats_asked:
            return f"{self.act}: deciding what to train"
        parts = [
            f"{self.act}: {self.repeats_done}/{self.repeats_asked} repeats",
            f"{self.epochs_done}/{self.epochs_asked} epochs",
        ]
        if self.preparing or self.is_waiting:
            parts.append(self.preparing or "waiting for the first epoch")
        if self.epochs_per_second > 0:
            parts.append(f"{self.epochs_per_second:.1f} epochs/s")
        if self.left.words:
            parts.append(self.left.words)
        if self.failed:
            parts.append(f"{self.failed} failed")
        return ", ".join(parts) + (f" ({self.decided})" if self.decided else "")


class Display:
    """Shows snapshots of a search, or how far something is; plain messages may come in between. Only the command's main
    thread calls it. counts: whether it says how far something is.
    """

    def __init__(
        self, stream: TextIO | None = None, line_every_s: float = LINE_EVERY_S, *, counts: bool = True
    ) -> None:
        self.console = Console(file=stream or sys.stderr, highlight=False)
        self.line_every_s = line_every_s
        self.counts = counts
        self._live: Live | None = None
        self._counted: Counted | None = None
        self._last_line = -line_every_s
        self._last_update = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def say(self, message: str) -> None:
        """One message, outside the table."""
        self.console.print(Text(plain_text(message)), soft_wrap=not self.console.is_terminal)

    def count(self, act: str, done: int, total: int) -> None:
        """How far something is: a bar on a terminal, which goes when it is over; elsewhere a line every 10 s."""
        if not self.counts:
            return
        counted = self._counted
        if counted is None or not counted.goes_on_as(act, done):
            counted = self._counted = Counted(act, done, total)
            self._last_update = counted.began
        counted.at(done, total)
        if not self.console.is_terminal:
            if time.monotonic() - self._last_update >= COUNT_EVERY_S:
                self._last_update = time.monotonic()
                self.say(counted.line())
        elif counted.is_over:
            self.close()
        else:
            self._draw(counted)

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
        self._draw(_rendered(snapshot))

    def _draw(self, content: RenderableType) -> None:
        if self._live is None:
            self._live = Live(console=self.console, refresh_per_second=4, transient=True)
            self._live.start()
        self._live.update(content)

    def close(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None


def _rendered(snapshot: Snapshot) -> Group:
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("configuration")
    table.add_column("repeats", justify="right", no_wrap=True)
    table.add_column("epoch", justify="right", no_wrap=True)
    for row in snapshot.rows[:TABLE_ROWS]:
        table.add_row(row.name, f"{row.done}/{row.asked}", row.running_epochs)
    hidden = len(snapshot.rows) - TABLE_ROWS
    if hidden > 0:
        table.add_row(f"… and {hidden} more", "", "")
    lines: list[RenderableType] = [Text(snapshot.line(), style="bold")]
    if snapshot.left.share is not None:
        lines.append(ProgressBar(total=1.0, completed=snapshot.left.share, width=BAR_WIDTH))
    return Group(*([table] if snapshot.rows else []), *lines)
