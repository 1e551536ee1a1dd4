"""How fast a count of epochs has grown of late, which is what the time that is left follows from."""

from __future__ import annotations

import time
from collections import deque

OVER_S = 60.0
"""The pace is that of about the last minute."""


class Pace:
    """Fed with a count now and then. What came before the first growth (features, the start of workers) is no time."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def per_second(self, count: int) -> float:
        """Growth per second over the last minute of looking, `count` now; NaN where nothing was seen to grow yet."""
        now = time.monotonic()
        if len(self._seen) == 1 and self._seen[0][1] == count:
            self._seen.clear()
        self._seen.append((now, count))
        while len(self._seen) > 2 and now - self._seen[1][0] >= OVER_S:
            self._seen.popleft()
        since, before = self._seen[0]
        # a decision that asks for more, or a lost checkpoint, can take epochs back
        return (count - before) / (now - since) if count > before and now > since else float("nan")
