"""A distribution in the place of a setting's values, from which a sampler draws: `lr = { low = 1e-5, high = 0.1 }`."""

from __future__ import annotations

import math
from dataclasses import dataclass

DIGITS = 3
"""Of a value that is drawn."""
MOST_WHOLE = 100
"""Whole numbers that one distribution may stand for."""


@dataclass(frozen=True)
class Range:
    """Both ends included. log: equal shares of the logarithm are equally likely. step: distance of values from `low`
    on; None: any."""

    low: float
    high: float
    log: bool = False
    step: float | None = None

    @property
    def middle(self) -> float:
        """A value of it, which stands for all where one is needed."""
        return self.near(math.sqrt(self.low * self.high) if self.log else (self.low + self.high) / 2)

    def near(self, value: float) -> float:
        """The value of it that is nearest, with few digits."""
        if self.step is not None:
            most = math.floor((self.high - self.low) / self.step + 1e-9)
            value = self.low + self.step * min(max(round((value - self.low) / self.step), 0), most)
        return min(max(float(f"{value:.{DIGITS}g}"), self.low), self.high)

    def at(self, share: float) -> float:
        """The value below which so much of it lies; share from 0 to 1."""
        if self.log:
            return self.near(math.exp(math.log(self.low) + share * (math.log(self.high) - math.log(self.low))))
        return self.near(self.low + share * (self.high - self.low))

    def __gt__(self, value: float) -> bool:
        """Whether it has values above another."""
        return self.high > value

    def __str__(self) -> str:
        told = f"{self.low:g} to {self.high:g}"
        return told + (", by logarithm" if self.log else f" in steps of {self.step:g}" if self.step else "")


def whole_numbers(low: int, high: int, log: bool, step: int | None) -> tuple[int, ...]:
    """Those of a distribution, which are tried as a list is: each is checked before anything is trained. By logarithm
    each is twice the one before."""
    if not log:
        return tuple(range(low, high + 1, step or 1))
    return tuple(low * 2**power for power in range(int(math.log2(high / low) + 1e-9) + 1))
