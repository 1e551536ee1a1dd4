"""Halving over epochs (Jamieson and Talwalkar 2016), with lanes that pause at a rung in the place of being killed.

Every configuration is trained for a first share of its epochs, in several blocks; the better half goes on to twice the
share, and so on to the end. At each rung two of those that stop, drawn by the search's seed, are trained to the end all
the same: their final ranks show what the rungs cost (audit lanes).
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from orchestrator.proposing.blocks import Blocks, Wanted

AUDITED = 2
"""Of those that stop at a rung, trained to the end."""


@dataclass(frozen=True)
class Rung:
    """share: of the epochs that the budget allows, the same for all. entrants: ranked here, in the search's order.

    kept: that go on, the best first; audited: that go to the end although they stop.
    """

    share: float
    entrants: tuple[str, ...]
    kept: tuple[str, ...]
    audited: tuple[str, ...]


def shares(first: float, eta: int) -> tuple[float, ...]:
    """Of the epochs, rung by rung; the last is 1."""
    rungs = [first]
    while rungs[-1] * eta < 1:
        rungs.append(rungs[-1] * eta)
    return (*rungs, 1.0) if rungs[-1] < 1 else (1.0,)


def epochs_at(share: float, epochs: int, least: int) -> int:
    """At least so many, at most all."""
    return min(epochs, max(least, math.ceil(share * epochs - 1e-9)))


def distinct(several: Sequence[float], epochs: Sequence[int], least: int) -> tuple[float, ...]:
    """Without the shares that give nobody more epochs than the one before."""
    kept = list(several[:1])
    for share in several[1:]:
        if any(epochs_at(share, count, least) > epochs_at(kept[-1], count, least) for count in epochs):
            kept.append(share)
        elif share == 1.0:
            kept[-1] = share
    return tuple(kept)


def at_rung(blocks: Blocks, names: Sequence[str], count: int, share: float, least: int) -> Wanted:
    """The first `count` blocks of these configurations, up to a rung."""
    return [
        (blocks.lane(name, block), epochs_at(share, blocks.epochs(name), least))
        for name in names
        for block in range(count)
    ]


def ranked(blocks: Blocks, names: Sequence[str], count: int, share: float, least: int) -> list[str]:
    """By the mean over the blocks at a rung, the best first; ties in the order given."""
    means = [
        np.mean([blocks.value(lane, epochs) for lane, epochs in at_rung(blocks, [name], count, share, least)])
        for name in names
    ]
    return [names[place] for place in np.argsort(-np.array(means), kind="stable")]


def halved(order: Sequence[str], entrants: Sequence[str], share: float, keep: int, seed: str) -> Rung:
    """The first `keep` of a ranking go on."""
    kept = tuple(order[:keep])
    stopped = [name for name in entrants if name not in kept]
    drawn = random.Random(seed).sample(sorted(stopped), min(AUDITED, len(stopped)))
    return Rung(share, tuple(entrants), kept, tuple(name for name in entrants if name in drawn))
