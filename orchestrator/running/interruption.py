"""SIGINT and SIGTERM: the first asks for a checkpoint and an orderly end, the second ends at once.

After the first the process ends within a time of grace whatever it is doing: who sends the signal often kills soon.
SIGTERM within a second of SIGTERM is its echo: SLURM sends it to every process of a job, and the job's script, which
gets it too, passes it on.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType

GRACE_S = 30.0
ECHO_S = 1.0


class Interruption:
    """Traps both signals while it is entered (in the main thread); afterwards the former handlers are back.

    The time of grace goes on when it is left: pages and reports that follow are within it too.
    """

    def __init__(
        self, grace_s: float = GRACE_S, end: Callable[[int], None] = os._exit, time_s: float | None = None
    ) -> None:
        """time_s: after it the same orderly end is asked for, which is no failure."""
        self.grace_s = grace_s
        self.time_s = time_s
        self._entered = time.monotonic()
        self.signal: int | None = None
        self._end = end
        self._caught_at = 0.0
        self._former: dict[int, signal._HANDLER] = {}

    @property
    def is_raised(self) -> bool:
        return self.signal is not None or self.is_time_up

    @property
    def is_time_up(self) -> bool:
        return self.time_s is not None and time.monotonic() - self._entered >= self.time_s

    @property
    def exit_status(self) -> int:
        """130 after SIGINT, 143 after SIGTERM, 0 where its time is up."""
        return 128 + self.signal if self.signal is not None else 0

    def __enter__(self) -> Interruption:
        self._entered = time.monotonic()
        self.trap()
        return self

    def trap(self) -> None:
        """Take both signals, again after a library (Ray, at its start) took one of them."""
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                handler = signal.signal(number, self._caught)
                self._former.setdefault(number, handler)

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)

    def _caught(self, number: int, frame: FrameType | None) -> None:
        if self.signal is not None:
            if not (number == self.signal == signal.SIGTERM and time.monotonic() - self._caught_at < ECHO_S):
                self._end(128 + number)
            return
        self.signal, self._caught_at = number, time.monotonic()
        timer = threading.Timer(self.grace_s, self._run_out)
        timer.daemon = True
        timer.start()

    def _run_out(self) -> None:
        """Write past whatever holds the streams of Python, then end without asking any other thread."""
        message = (
            f"Ended {self.grace_s:g} s after the signal, before everything could be written. Kept: all that was "
            "finished and the checkpoints up to then; the same command goes on from there.\n"
        )
        with contextlib.suppress(OSError, ValueError):
            os.write(sys.__stderr__.fileno() if sys.__stderr__ else 2, message.encode())
        self._end(self.exit_status)
