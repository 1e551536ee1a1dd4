"""Waiting for what must come, and a clock on which waiting costs nothing."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

PATIENCE_S = 600.0
"""The limit on what might hang where pytest's own, which ends every test that does, is not there."""


def wait_until(is_so: Callable[[], object]) -> None:
    """Until it is so. What never is, pytest's limit on a test ends, and shows where it stood."""
    while not is_so():
        time.sleep(0.02)


class PatientClock:
    """The clock of this process, which `time.sleep` only sets forward."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.slept_s = 0.0
        real = time.monotonic
        monkeypatch.setattr(time, "monotonic", lambda: real() + self.slept_s)
        monkeypatch.setattr(time, "sleep", self._sleep)

    def _sleep(self, seconds: float) -> None:
        self.slept_s += seconds
