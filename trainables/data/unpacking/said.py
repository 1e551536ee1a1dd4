"""How far something long is, in lines that come seldom."""

from __future__ import annotations

import time
from collections.abc import Callable

Show = Callable[[str], None]
EVERY_S = 10.0


class Slowly:
    """Counts bytes towards `total` and says how far it is every ten seconds."""

    def __init__(self, show: Show, act: str, total: int) -> None:
        self._show, self._act, self._total = show, act, total
        self._done, self._told = 0, time.monotonic()

    def __call__(self, count: int) -> None:
        self._done += count
        if time.monotonic() - self._told >= EVERY_S:
            self._told = time.monotonic()
            self._show(f"{self._act} {gigabytes(self._done)} of {gigabytes(self._total)}")


def gigabytes(count: float) -> str:
    return f"{count / 1e9:.2f} GB" if count >= 1e7 else f"{count / 1e6:.2f} MB"
