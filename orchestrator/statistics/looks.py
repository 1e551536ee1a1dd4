"""At which numbers of repeats configurations may be excluded, and how much of the error each of these looks may make.

Whoever tests again with every repeat that is added excludes the true best at some time far more often than in 5 of 100
studies. Here the error is divided over fixed numbers of repeats, however often a command is run: at each look the test
is of exactly so many first repeats, and the levels add up to 0.05 at most.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from orchestrator.statistics.sign_flips import least_p

ALPHA = 0.05
"""Of all looks together: the share of studies in which the true best may be excluded."""
LEAST = 6
"""Repeats of a first look at least: with five the smallest p is 1/32, which leaves next to nothing for later ones."""
MOST = 6
"""Looks in all: a seventh would divide 5 % into shares that exclude nothing."""
PARTITIONS_SEEN = 8
"""Of more partitions than this so many must have been seen before anything is excluded; of fewer all."""


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


def faults_of(looks: Sequence[Look], partitions: int = 1) -> Iterator[str]:
    """What is wrong with them, in words. partitions: that repeats go through in turn, one after the other."""
    if not 1 <= len(looks) <= MOST:
        yield f"{len(looks)} looks, expected 1 to {MOST}"
    counts = [look.repeats for look in looks]
    if any(after <= before for before, after in pairwise(counts)):
        yield f"at {', '.join(map(str, counts))} blocks, expected increasing numbers"
    if (least := min(counts, default=LEAST)) < LEAST:
        yield f"a look at {least} blocks, expected at least {LEAST}"
    if (total := sum(look.level for look in looks)) > ALPHA + 1e-9:
        yield f"shares that add up to {total:.4g}, expected at most {ALPHA:g}"
    for look in looks:
        if look.repeats >= LEAST and look.level < (p := least_p(look.repeats)):
            yield f"a share of {look.level:.3g} at {look.repeats} blocks, where the smallest possible p is {p:.3g}"
    seen = min(partitions, PARTITIONS_SEEN)
    if counts and LEAST <= counts[0] < seen:
        yield f"a first look at {counts[0]} blocks, one on each of {counts[0]} partitions, expected at least {seen}"
