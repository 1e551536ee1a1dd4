"""Every training step is noted in a file, so that what was trained twice can be counted however a process ends."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

PAUSE = "pause"
"""A file in the log: seconds of a step from now on."""


class Trainer(NamedTuple):
    """A process by its number there: two machines may give the same one."""

    process: int
    host: str


def note_steps(learner: Any, log: Path, pause: float) -> None:
    """A byte in `log` for every step of every repeat, the moment of this process's first one in a file of its own.

    learner: the class whose `train` is a step; stacked configurations count once. pause: seconds that every step takes
    longer; a number in the file PAUSE of the log counts in its place.
    """
    log.mkdir(parents=True, exist_ok=True)
    steps = os.open(log / "steps", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    begun, other = _begun(log, Trainer(os.getpid(), socket.gethostname())), log / PAUSE

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
    """When a process of this machine trained its first step, on its monotonic clock; None when it trained none."""
    begun = _begun(log, Trainer(process, socket.gethostname()))
    return float(begun.read_text() or "nan") if begun.exists() else None


def trainers(log: Path) -> dict[Trainer, float]:
    """All processes that have trained so far, with the moment of their first step."""
    found = {tuple(path.name.removeprefix("begun-").split("-", 1)): path.read_text() for path in log.glob("begun-*")}
    return {Trainer(int(process), host): float(moment) for (process, host), moment in found.items() if moment}


def _begun(log: Path, trainer: Trainer) -> Path:
    return log / f"begun-{trainer.process}-{trainer.host}"
