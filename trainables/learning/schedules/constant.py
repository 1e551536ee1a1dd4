"""One rate throughout."""

from __future__ import annotations

from search_spaces.settings import schedule as settings


class Constant:
    is_constant = True

    def __init__(self, same: settings.Schedule) -> None:
        """It has no settings."""

    def factor(self, step: int, length: int) -> float:
        return 1.0
