"""Which configurations could be the best: a set that holds the true best one with 95 % confidence.

Each configuration is asked whether any other is better than it by more than the repeats vary. The test of one against
the largest of all others takes account of how many there are (`sign_flips`), and the error is spent over fixed numbers
of repeats (`looks`), so the set needs no further correction. Repeats that diverged are no noise: pairs leave them out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orchestrator.statistics.looks import LOOKS, Look, next_look
from orchestrator.statistics.paired import Differences, differences, oriented
from orchestrator.statistics.sign_flips import sign_flip_p
from orchestrator.statistics.skewness import tails

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class ConfidenceSet:
    """The answer for configurations 0 … C − 1, in the order of the scores given. Arrays are [C].

    best: the one with the best mean over all its repeats. members: those that no look excluded, best mean first; all
    before the first look. uncompared: those that no result could have excluded, for want of repeats or of such as did
    not diverge; beside members and excluded ones, from the first look on. p: of the hypothesis that no other
    configuration is better, at the last look of each; NaN where it was not compared. difference, low, high: mean paired
    difference to `best` with its 95 % interval (also for a loss: negative is worse), over all repeats that diverged in
    neither. n: pairs behind each difference.
    """

    best: int
    members: tuple[int, ...]
    uncompared: tuple[int, ...]
    p: Floats
    mean: Floats
    """Mean score in its own unit and direction; a diverged repeat counts with the score given for it."""
    difference: Floats
    low: Floats
    high: Floats
    n: Ints
    counts: Ints
    """Repeats of each."""
    diverged: Ints
    """Those of them that diverged."""
    tails: NDArray[np.int8]
    """−1: a long tail of bad repeats beside the others; 1: of good ones; 0: neither is shown (`skewness`)."""
    at: Ints
    """Repeats of the last look of each, 0 before its first; of one that is excluded the look that did it."""
    look: Look | None
    """The last one that any configuration has the repeats for."""
    next: Look | None

    @property
    def repeats(self) -> int:
        """The largest number of repeats of any configuration."""
        return int(self.counts.max())

    @property
    def differences(self) -> Differences:
        return Differences(self.difference, self.low, self.high, self.n)


def confidence_set(
    scores: np.ndarray,
    higher_is_better: bool,
    diverged: np.ndarray | None = None,
    looks: Sequence[Look] = LOOKS,
    seed: int = 0,
) -> ConfidenceSet:
    """The configurations that may be the best.

    scores: [configurations, repeats], a repeat's score of each; column r is repeat number r in all, NaN where a
    configuration lacks it. diverged: bool of the same shape, which repeats did; no test and no difference uses them.
    looks: at how many first repeats, rising, p up to which level excludes. seed: of the random signs.

    At each look those are tested that have all its repeats and were not excluded before, against all that were not. So
    the answer depends on the scores of first repeats alone, not on how often it was asked for.

    Raises ValueError: no configuration, one without any score, or a score that is infinite.
    """
    values = oriented(scores, higher_is_better)
    if values.ndim != 2 or not len(values):
        raise ValueError(f"scores: expected [configurations, repeats], found shape {values.shape}")
    there = ~np.isnan(values)
    if not there.any(axis=1).all() or np.isinf(values).any():
        raise ValueError("scores: expected at least one score for every configuration, and none that is infinite")
    lost = there & (np.zeros(values.shape, dtype=bool) if diverged is None else np.asarray(diverged, dtype=bool))
    pairs = np.where(lost, np.nan, values)
    p, at = np.full(len(values), np.nan), np.zeros(len(values), dtype=np.int64)
    compared, excluded = (np.zeros(len(values), dtype=bool) for _ in range(2))
    reached = None
    for look in looks:
        left = np.flatnonzero(~excluded)
        mine = np.flatnonzero(there[left, : look.repeats].all(axis=1) & (look.repeats <= values.shape[1]))
        if not len(mine):
            break
        reached, first, tested = look, pairs[left, : look.repeats], left[mine]
        p[tested], at[tested] = sign_flip_p(first, mine, seed), look.repeats
        compared[tested] |= 0.5 ** (~np.isnan(first[mine])).sum(axis=1) <= look.level
        excluded[tested] = p[tested] <= look.level
    mean = np.nanmean(values, axis=1)
    best, order = int(np.argmax(mean)), np.argsort(-mean, kind="stable")
    away = differences(pairs, best, higher_is_better=True)
    compared |= reached is None or len(values) == 1
    p[~compared] = np.nan
    return ConfidenceSet(
        best=best,
        members=tuple(int(c) for c in order if compared[c] and not excluded[c]),
        uncompared=tuple(int(c) for c in order if not compared[c]),
        p=p,
        mean=mean if higher_is_better else -mean,
        difference=away.mean,
        low=away.low,
        high=away.high,
        n=away.n,
        counts=there.sum(axis=1),
        diverged=lost.sum(axis=1),
        tails=tails(pairs),
        at=at,
        look=reached,
        next=next_look(int(there.sum(axis=1).max()), looks),
    )


def race_leaves(
    scores: np.ndarray, diverged: np.ndarray, looks: Sequence[Look], margin: float, seed: int
) -> NDArray[np.bool_]:
    """bool [configurations]: those that a race goes on with after the last of these looks; larger scores are better.
    Who trails the best by less than the margin stays too."""
    best_set = confidence_set(scores, True, diverged, looks, seed)
    stays = np.isin(np.arange(len(scores)), [*best_set.members, *best_set.uncompared])
    return stays | ((margin > 0) & (best_set.difference > -margin))
