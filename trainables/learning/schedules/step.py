"""The rate falls by one factor after each of several equal stretches (`torch.optim.lr_scheduler.StepLR`)."""

from __future__ import annotations

from search_spaces.settings import schedule as settings


class Step:
    is_constant = False

    def __init__(self, same: settings.Schedule) -> None:
        self.stretches = same.stretches
        self.factor_of_a_fall = same.factor

    def factor(self, step: int, length: int) -> float:
        """Behind the end that of the last stretch."""
        falls = min(self.stretches * step // length, self.stretches - 1)
        return float(self.factor_of_a_fall**falls)
