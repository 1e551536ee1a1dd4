"""SIGINT and SIGTERM: the first asks for a checkpoint and an orderly end, the second ends at once."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType


class Interruption:
    """Traps both signals while it is entered (in the main thread); afterwards the former handlers are back."""

    def __init__(self) -> None:
        self.signal: int | None = None
        self._former: dict[int, signal._HANDLER] = {}

    @property
    def is_raised(self) -> bool:
        return self.signal is not None

    @property
    def exit_status(self) -> int:
        """130 after SIGINT, 143 after SIGTERM."""
        return 128 + (self.signal or 0)

    def __enter__(self) -> Interruption:
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
            os._exit(128 + number)
        self.signal = number
