"""How far a command is with what it can count: a bar on a terminal, a plain line elsewhere."""

from __future__ import annotations

import time

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from orchestrator.results.amounts import duration

SHOWN_AFTER_S = 1.0
"""What is over sooner shows no bar."""
BAR_WIDTH = 30


class Counted:
    """One act, such as "images read", so many of so many; its pace is that since it was first told of."""

    def __init__(self, act: str, done: int, total: int) -> None:
        self.act = act
        self.first = self.done = done
        self.total = total
        self.began = self.moved = time.monotonic()
        """When it began, and when it was last told of more."""

    def goes_on_as(self, act: str, done: int) -> bool:
        """Whether a further count is of the same act."""
        return act == self.act and done >= self.done

    def at(self, done: int, total: int) -> None:
        """So far now."""
        if done > self.done:
            self.moved = time.monotonic()
        self.done, self.total = done, total

    @property
    def is_over(self) -> bool:
        return self.done >= self.total

    def line(self) -> str:
        """`12/40 images read, 3.2/s, 9 s left`."""
        parts = [f"{self.done}/{self.total} {self.act}"]
        here, spent = self.done - self.first, self.moved - self.began
        if here > 0 and spent > 0:
            pace = here / spent
            parts.append(f"{pace:.1f}/s" if pace >= 1 else f"{duration(1 / pace)} each")
            if not self.is_over:
                left = (self.total - self.done) / pace - (time.monotonic() - self.moved)
                parts.append(f"{duration(max(1.0, left))} left")
        return ", ".join(parts)

    def __rich__(self) -> RenderableType:
        """As a terminal draws it now."""
        if time.monotonic() - self.began < SHOWN_AFTER_S:
            return Group()
        return beside_bar(self.done, self.total, self.line())


def beside_bar(done: float, total: float, text: str) -> RenderableType:
    """A bar, and behind it what it says."""
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column(width=BAR_WIDTH)
    grid.add_column(overflow="ellipsis", no_wrap=True)
    grid.add_row(ProgressBar(total=max(total, 1e-9), completed=done, width=BAR_WIDTH), Text(text))
    return grid
