"""Ends a process whose training does not get on: no finished step in a multiple of the usual time."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator

LEAST_S = 120.0
TIMES = 30.0
"""A step may take the longer of LEAST_S and so many times the longest step so far."""
TICK_S = 1.0
NOTE_S = 20.0
"""For writing down what hung; a storage that hangs too must not keep the process alive."""
EXIT_STATUS = 70


class HangError(Exception):
    """No step was finished for too long."""


class Watchdog:
    """Watches a count that grows with every finished step, from a thread, while it is entered.

    Only time in which the thread itself could run counts: a process that was suspended is not taken for one that hangs.
    The longest step so far is remembered from one entering to the next.
    """

    def __init__(
        self,
        steps: Callable[[], int],
        on_hang: Callable[[HangError, str], None],
        least_s: float = LEAST_S,
        times: float = TIMES,
        tick_s: float = TICK_S,
        end: Callable[[int], None] = os._exit,
    ) -> None:
        """on_hang is given the error and the Python stacks of all threads, before the process ends."""
        self.longest_s = 0.0
        self._steps = steps
        self._on_hang = on_hang
        self._least_s, self._times, self._tick_s = least_s, times, tick_s
        self._end = end

    @property
    def limit_s(self) -> float:
        return max(self._least_s, self._times * self.longest_s)

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        left = threading.Event()
        thread = threading.Thread(target=self._watch, args=(left,), name="watchdog", daemon=True)
        thread.start()
        try:
            yield
        finally:
            left.set()
            thread.join()

    def _watch(self, left: threading.Event) -> None:
        silent, seen, last = 0.0, self._steps(), time.monotonic()
        while not left.wait(self._tick_s):
            now = time.monotonic()
            silent += min(now - last, 2 * self._tick_s)
            last = now
            if (steps := self._steps()) != seen:
                self.longest_s = max(self.longest_s, silent)
                silent, seen = 0.0, steps
            elif silent > self.limit_s:
                self._give_up()
                return

    def _give_up(self) -> None:
        error = HangError(f"no step was finished within {self.limit_s:.0f} s; the process was ended")
        stacks = stacks_of_all_threads()
        writer = threading.Thread(target=self._on_hang, args=(error, stacks), daemon=True)
        writer.start()
        writer.join(NOTE_S)
        self._end(EXIT_STATUS)


def stacks_of_all_threads() -> str:
    """What every thread of this process is doing, as Python sees it; the calling thread is left out."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    parts = []
    for ident, frame in sys._current_frames().items():
        if ident != threading.get_ident():
            stack = "".join(traceback.format_stack(frame))
            parts.append(f"Thread {names.get(ident, ident)}:\n{stack}")
    return "\n".join(parts)
