"""Warm-up, then half a cosine (Loshchilov and Hutter 2017, arXiv 1608.03983, without restarts)."""

from __future__ import annotations

import math

from search_spaces.settings import schedule as settings


class Cosine:
    is_constant = False

    def __init__(self, same: settings.Schedule) -> None:
        self.warm_up = same.warm_up

    def factor(self, step: int, length: int) -> float:
        rise = round(self.warm_up * length)
        if step < rise:
            return (step + 1) / (rise + 1)
        share = (step - rise) / max(1, length - rise)
        return 0.5 * (1.0 + math.cos(math.pi * min(1.0, share)))
