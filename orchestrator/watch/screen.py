"""`orch status --watch`: what a study is doing, on a terminal, until Ctrl-C; one line every 30 s elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, TextIO

from rich.console import Console, Group, JustifyMethod, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from orchestrator.proposing.words import standing
from orchestrator.results.names import counted, names_of, words
from orchestrator.results.report import plus_minus
from orchestrator.results.summary import Summary, summarise
from orchestrator.running.progress import LINE_EVERY_S
from orchestrator.store.schema import RepeatState
from orchestrator.study.studies import Study
from orchestrator.watch.now import StudyNow

LOOK_EVERY_S = 1.0
REST = 10.0
"""A summary that took t seconds is made again 10·t seconds later at the earliest."""
BEST_ROWS, RUNNING_ROWS = 8, 12


class StudyScreen:
    """Looks every second; summarises again only when something was finished, failed or decided."""

    def __init__(self, study: Study) -> None:
        self.study = study
        self._now = StudyNow(study.storage)
        self._stamp = ""
        self._summary: Summary | None = None
        self._names: dict[str, str] = {}
        self._not_before = 0.0

    def look(self) -> tuple[Mapping[str, Any], Summary]:
        stamp, now = self._now.look()
        began = time.monotonic()
        if self._summary is None or (stamp != self._stamp and began >= self._not_before):
            self._summary, self._stamp = summarise(self.study.storage), stamp
            self._names = names_of(member.configuration for member in self._summary.configurations)
            self._not_before = began + REST * (time.monotonic() - began)
        return now, self._summary

    def line(self) -> str:
        """One plain line."""
        now, summary = self.look()
        failed, diverged = summary.totals.failed, summary.totals.diverged
        parts = [f"{self.study.name}: {progress_text(now)}", f"{len(now['running']) + now['hidden']} at work"]
        parts += [f"{failed} failed"] if failed else []
        parts += [f"{diverged} diverged"] if diverged else []
        said = standing(summary.searches, summary.budgets, summary.decisions)
        return ", ".join(parts) + (f" ({said})" if said else "")

    def table(self) -> RenderableType:
        """What runs, then the best so far."""
        now, summary = self.look()
        head = Text(f"{self.study.name}{' (synthetic images)' if summary.study.synthetic else ''}", style="bold")
        return Group(
            head,
            Text(progress_text(now)),
            *([Text(said)] if (said := standing(summary.searches, summary.budgets, summary.decisions)) else []),
            Text(""),
            _running(now),
            Text(""),
            _best(summary, self._names),
            *_notes(summary, self._names),
        )


def watch(study: Study, stream: TextIO | None = None, is_over: Callable[[], bool] = lambda: False) -> None:
    """Show the study until Ctrl-C, or until `is_over`; to stdout by default."""
    screen = StudyScreen(study)
    console = Console(file=stream or sys.stdout, highlight=False)
    try:
        if not console.is_terminal:
            while not is_over():
                console.print(Text(screen.line()), soft_wrap=True)
                _wait(LINE_EVERY_S, is_over)
            return
        with Live(screen.table(), console=console, auto_refresh=False, vertical_overflow="ellipsis") as live:
            while not is_over():
                live.update(screen.table(), refresh=True)
                _wait(LOOK_EVERY_S, is_over)
    except KeyboardInterrupt:
        return


def progress_text(now: Mapping[str, Any]) -> str:
    """`3 of 20 repeats, 120 of 400 epochs, 3.2 epochs/s, about 2 min left`."""
    parts = [
        f"{now['repeats'][0]} of {counted(now['repeats'][1], 'repeat')}",
        f"{now['epochs'][0]} of {counted(now['epochs'][1], 'epoch')}",
    ]
    if now["per_second"] is not None:
        parts.append(f"{now['per_second']:.1f} epochs/s")
    if now["left"]:
        parts.append(now["left"])
    return ", ".join(parts)


def _running(now: Mapping[str, Any]) -> RenderableType:
    if not now["running"]:
        return Text(now["idle"])
    table = Table(box=None, padding=(0, 2, 0, 0))
    widths = {"at work on": 34, "repeat": 6, "epoch": 7, "loss train": 6, "valid": 6, "where": None}
    for title, width in widths.items():
        justify: JustifyMethod = "left" if title in ("at work on", "where") else "right"
        table.add_column(title, justify=justify, no_wrap=True, min_width=width)
    for row in now["running"][:RUNNING_ROWS]:
        numbers = row["repeats"]
        silence = f"silent for {row['silent_s']} s" if row["silent_s"] else ""
        table.add_row(
            Text(row["name"]),
            str(numbers[0]) if len(numbers) == 1 else f"{numbers[0]}–{numbers[-1]}",
            f"{row['epoch']}/{row['of']}",
            *(_last(row["loss"], split) for split in ("train", "valid")),
            Text(", ".join(part for part in (silence, row["host"], row["device"]) if part)),
        )
    hidden = now["hidden"] + max(0, len(now["running"]) - RUNNING_ROWS)
    if hidden:
        table.add_row(f"… and {hidden} more", *[""] * 5)
    return table


def _last(loss: Mapping[str, list[float | None]] | None, split: str) -> str:
    value = loss[split][-1] if loss and loss[split] else None
    return "–" if value is None else f"{value:.3f}"


def _best(summary: Summary, names: Mapping[str, str]) -> RenderableType:
    begun = [member for member in summary.configurations if member.n]
    shown = begun[:BEST_ROWS]
    if not shown:
        return Text("No repeat is finished yet.")
    table = Table(box=None, padding=(0, 2, 0, 0))
    for title in ("rank", "configuration", "repeats", f"{words(summary.study.selection)} that ranks (optimistic)"):
        is_name = title == "configuration"
        table.add_column(title, justify="left" if is_name else "right", no_wrap=not is_name)
    for member in shown:
        table.add_row(
            "–" if member.rank is None else str(member.rank),
            Text(names[member.id]),
            f"{member.n}/{member.asked}",
            plus_minus(member.selection),
        )
    if len(begun) > len(shown):
        table.add_row("", f"… and {len(begun) - len(shown)} more", "", "")
    return table


def _notes(summary: Summary, names: Mapping[str, str]) -> list[Text]:
    causes = dict.fromkeys(
        (names[member.id], standing.cause)
        for member in summary.configurations
        for standing in member.standings
        if standing.state is RepeatState.FAILED
    )
    notes = [Text(f"Failed: {name}: {cause}") for name, cause in list(causes)[:3]]
    if summary.totals.diverged:
        notes.append(Text(f"{counted(summary.totals.diverged, 'repeat')} diverged"))
    return [Text(""), *notes] if notes else []


def _wait(seconds: float, is_over: Callable[[], bool]) -> None:
    """Sleep in short naps, so that an end is noticed soon."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0 and not is_over():
        time.sleep(min(0.2, left))
