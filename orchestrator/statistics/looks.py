"""At which numbers of repeats configurations may be excluded, and how much of the error each of these looks may make.

Whoever tests again with every repeat that is added excludes the true best at some time far more often than in 5 of 100
studies. Here the error is divided over fixed numbers of repeats, however often a command is run: at each look the test
is of exactly so many first repeats, and the levels add up to 0.05 at most.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

ALPHA = 0.05
"""Of all looks together: the share of studies in which the true best may be excluded."""


@dataclass(frozen=True)
class Look:
    """repeats: of each configuration the first so many, from number 0. level: p up to it excludes."""

    repeats: int
    level: float


LOOKS = (Look(8, 3 / 256), Look(12, 0.0132), Look(20, 0.025))
"""With 8 repeats p is a multiple of 1/256; 3 of them leave room for two others that are as far behind a configuration
as the best is ahead of it. After the last look nothing is left to spend: its set stays."""


def next_look(repeats: int, looks: Sequence[Look] = LOOKS) -> Look | None:
    """The first look that needs more repeats than these; None after the last."""
    return next((look for look in looks if look.repeats > repeats), None)
