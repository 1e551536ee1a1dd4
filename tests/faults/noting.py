"""Every training step is noted in a file, so that what was trained twice can be counted however a process ends."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

PAUSE = "pause"
"""A file in the log: seconds of a step from now on."""


def note_steps(learner: Any, log: Path, pause: float) -> None:
    """A byte in `log` for every step of every repeat, the moment of this process's first one in a file of its own.

    learner: the class whose `train` is a step; stacked configurations count once. pause: seconds that every step takes
    longer; a number in the file PAUSE of the log counts in its place.
    """
    log.mkdir(parents=True, exist_ok=True)
    steps = os.open(log / "steps", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    begun, other = log / f"begun-{os.getpid()}", log / PAUSE

    def noted(inner: Callable[..., None]) -> Callable[..., None]:
        def train(one: Any, rows: Any, epoch: int, first: int) -> None:
            if not begun.exists():
                begun.write_text(str(time.monotonic()))
            os.write(steps, b"." * len(rows))
            time.sleep(float(other.read_text()) if other.exists() else pause)
            inner(one, rows, epoch, first)

        return train

    learner.train = noted(learner.train)


def steps_noted(log: Path) -> int:
    """Steps noted so far by all processes with this log."""
    return (log / "steps").stat().st_size if (log / "steps").exists() else 0


def first_step(log: Path, process: int) -> float | None:
    """When a process trained its first step, on this machine's monotonic clock; None when it trained none."""
    begun = log / f"begun-{process}"
    return float(begun.read_text() or "nan") if begun.exists() else None


def trainers(log: Path) -> dict[int, float]:
    """All processes that have trained so far, with the moment of their first step."""
    found = {int(path.name.removeprefix("begun-")): path.read_text() for path in log.glob("begun-*")}
    return {process: float(moment) for process, moment in found.items() if moment}
