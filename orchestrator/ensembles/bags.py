"""What an ensemble is worth once choosing it is taken into account: everything is chosen again in every bag of groups.

The same images choose the members, their weights and the configuration that they are compared with, so all three look
better on them than they are, the ensemble most: it has most to choose. Here validation groups are drawn with
replacement, all of it is chosen on those that were drawn and scored on those that were not, as
`orchestrator.statistics.bias_corrected` does for the configuration alone (Tsamardinos et al. 2018). Nothing is trained.

Bags overlap: each pair shares most of its groups, and the same few groups decide all of them. So the spread of their
scores is no standard error, and no interval is made of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orchestrator.ensembles.choosing import Chooser, Chosen

Floats = NDArray[np.float64]
Progress = Callable[[str, int, int], None]

ROUNDS = 200
SAME = 1e-12


@dataclass(frozen=True)
class Trio:
    """One score of each. single: the best configuration, mean over its repeats. rival: its own repeats together, as
    many as the ensemble has models or as there are. ensemble: of configurations."""

    single: float
    rival: float
    ensemble: float


@dataclass(frozen=True)
class Ahead:
    """In how many bags the ensemble was better, worse and the same, of those with a score of both."""

    better: int
    worse: int
    same: int


@dataclass(frozen=True)
class Honest:
    """out: scores on images that chose nothing. over_single, over_rival: bags in which the ensemble was ahead.

    chose_single: share of the bags in which the configuration that all images choose was the best. models: of the
    ensembles of the bags, in the mean. members: float64 [C], share of the bags in which each counted something.
    """

    out: Trio
    over_single: Ahead
    over_rival: Ahead
    chose_single: float
    models: float
    members: Floats
    rounds: int


def bags_of(groups: int, rounds: int, seed: int) -> NDArray[np.int64]:
    """How often each group counts in each bag, int64 [B, groups], of those that leave some out."""
    draws = np.random.default_rng(seed).integers(0, groups, size=(rounds, groups))
    often = np.stack([np.bincount(draw, minlength=groups) for draw in draws])
    bags: NDArray[np.int64] = often[(often == 0).any(axis=1)].astype(np.int64)
    return bags


def in_sample(chooser: Chooser, chosen: Chosen) -> Trio:
    """On the images that chose it."""
    return Trio(chooser.scored_alone(chosen.single), *_scored(chooser, _pair(chooser, chosen), chooser.of.truth))


def honest(chooser: Chooser, chosen: Chosen, rounds: int, seed: int, progress: Progress | None = None) -> Honest | None:
    """chosen: by all images. None where there are fewer than two groups, or no bag leaves one out.

    The images left out are pooled over all bags before they are scored. What the best configuration of all images
    scores on them, against its score on all images, is taken off every figure: which images happen to be left out how
    often, which with few groups outweighs everything else, cancels.
    """
    if chooser.of.groups < 2 or rounds < 1:
        return None
    often = bags_of(chooser.of.groups, rounds, seed)
    if not len(often):
        return None
    singles = chooser.singles(often)
    pool, counts = _Pool(chooser, chosen.single), np.zeros(len(chooser.of.members))
    models, same_single, over_single, over_rival = 0, 0, [0, 0, 0], [0, 0, 0]
    for number, bag in enumerate(often):
        images = bag[chooser.of.group]
        here = chooser.choose(images, singles[number])
        pair, rows = _pair(chooser, here), np.flatnonzero(images == 0)
        pool.add(rows, pair[:, rows], here.single)
        rival, ensemble = _scored(chooser, pair[:, rows], chooser.of.truth[rows])
        single = chooser.scored_alone(here.single, rows)
        over_single[_place(chooser, ensemble, single)] += 1
        over_rival[_place(chooser, ensemble, rival)] += 1
        counts[[row for row, weight in zip(here.rows, here.weights, strict=True) if weight > 0]] += 1
        models += chooser.models(here)
        same_single += here.single == chosen.single
        if progress is not None:
            progress("bags done", number + 1, len(often))
    total = len(often)
    return Honest(
        pool.scores(),
        Ahead(*over_single),
        Ahead(*over_rival),
        same_single / total,
        models / total,
        counts / total,
        total,
    )


class _Pool:
    """Predictions of images that were left out, bag after bag."""

    def __init__(self, chooser: Chooser, winner: int) -> None:
        self.chooser, self.winner = chooser, winner
        self.rows: list[NDArray[np.int64]] = []
        self.pairs: list[Floats] = []
        self.singles: list[int] = []

    def add(self, rows: NDArray[np.int64], pair: Floats, single: int) -> None:
        self.rows.append(rows)
        self.pairs.append(pair)
        self.singles.append(single)

    def scores(self) -> Trio:
        truth = self.chooser.of.truth[np.concatenate(self.rows)]
        rival, ensemble = _scored(self.chooser, np.concatenate(self.pairs, axis=1), truth)
        single, own = self._single(self.singles, truth), self._single([self.winner] * len(self.rows), truth)
        away = self.chooser.scored_alone(self.winner) - own
        return Trio(single + away, rival + away, ensemble + away)

    def _single(self, chosen: list[int], truth: NDArray[np.int64]) -> float:
        """Mean over repeats of one configuration in each bag; one with fewer repeats than others has them in turn."""
        counts, chances, scores = self.chooser.of.counts, self.chooser.chances, []
        for repeat in range(max(counts)):
            parts = [chances[c, repeat % counts[c], rows] for c, rows in zip(chosen, self.rows, strict=True)]
            scores.append(self.chooser.target.scores(np.concatenate(parts).astype(np.float64)[None], truth)[0])
        return float(np.mean(scores))


def _pair(chooser: Chooser, chosen: Chosen) -> Floats:
    """Probabilities of the rival and of the ensemble, float64 [2, N, K]."""
    return np.stack([chooser.rival(chosen), chooser.ensemble(chosen)])


def _scored(chooser: Chooser, pair: Floats, truth: NDArray[np.int64]) -> tuple[float, float]:
    rival, ensemble = chooser.target.scores(pair, truth).tolist()
    return rival, ensemble


def _place(chooser: Chooser, one: float, other: float) -> int:
    """0 where the first is better, 1 where it is worse, 2 where they are the same or one has no score."""
    a, b = (float(chooser.target.better(np.array(value))) for value in (one, other))
    if not np.isfinite([a, b]).all() or abs(a - b) <= SAME:
        return 2
    return 0 if a > b else 1
