"""A straight line from the full rate down to 0."""

from __future__ import annotations

from search_spaces.settings import schedule as settings


class Linear:
    is_constant = False

    def __init__(self, same: settings.Schedule) -> None:
        """Its length is all that it has."""

    def factor(self, step: int, length: int) -> float:
        return max(0.0, 1.0 - step / length)
