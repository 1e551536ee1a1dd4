"""PSP, IFP and IFPO: how the neuroblastoma study divides the families of one class into train, valid and test.

A family is all images of one group; it has a size (pixels or images, any unit) and is never divided. Splits are
numbered 0 train, 1 valid, 2 test. Source of the three methods and of the distance: the neuroblastoma report, section
2.3; what it leaves open was settled by reproducing its worked figures.

* PSP (proportional and sequential): the largest families go to train until its target share is reached, then to valid,
  and the rest to test.
* IFP (iterative filling): the N₁ largest families go to train, where N₁ is the smallest number of them whose cumulative
  share reaches μ · min(p₂, p₃). Valid and test are then owed N₁ · d₂/d₁ and N₁ · d₃/d₁ families and take, in turn, the
  largest that fits. After that train, valid and test take turns, train first: train takes the largest family left, the
  others the largest that fits. What is left goes to train.
* IFPO (with overfill): as IFP, but once the owed families were given out within the targets, valid and test may exceed
  their shares by ε; families still owed come first.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

Triple = tuple[float, float, float]

TARGETS: Triple = (0.70, 0.15, 0.15)
DIVERSITY: Triple = (1 / 3, 1 / 3, 1 / 3)
WEIGHTS: tuple[float, float] = (1.0, 1.0)

_TOLERANCE = 1e-12
"""Shares closer than this are equal: sums of floats must not decide where a family goes."""

_EXACT_FAMILIES = 100
"""Up to so many families every breakpoint of ε and μ is tried; above, ε advances by at least `_COARSE_STEP`."""

_COARSE_STEP = 0.002
_COARSE_STARTS = 24


@dataclass(frozen=True)
class Distance:
    """How far a filling is from its targets; both parts are means over the three splits of absolute differences.

    `proportion` is that of the shares of the total size, `diversity` that of the shares of the number of families;
    `total` is their weighted mean. With equal weights it is the report's D, the sum of all six differences over six.
    """

    proportion: float
    diversity: float
    total: float


@dataclass(frozen=True)
class Filling:
    """One class's families divided: `split[i]` (0, 1, 2) is that of the i-th size given.

    shares: parts of the total size in train, valid, test. families: numbers of families.
    mu: the largest μ in ]0, 1] that gives this filling (None for PSP); epsilon: the smallest ε, as a share.
    """

    split: tuple[int, ...]
    sizes: Triple
    shares: Triple
    families: tuple[int, int, int]
    mu: float | None
    epsilon: float
    distance: Distance


@dataclass(frozen=True)
class Candidate:
    """A filling and where it comes about: mu_from < μ ≤ mu_to and epsilon_from ≤ ε < epsilon_to."""

    filling: Filling
    mu_from: float
    mu_to: float
    epsilon_from: float
    epsilon_to: float


def distance(
    shares: Sequence[float],
    diversities: Sequence[float],
    targets: Triple = TARGETS,
    diversity: Triple = DIVERSITY,
    weights: tuple[float, float] = WEIGHTS,
) -> Distance:
    """Distance between effective `shares` and `diversities` (each [3], summing to 1) and their targets.

    `weights` are those of the proportion part and of the diversity part; not negative, not both zero.
    """
    proportion = sum(abs(p - e) for p, e in zip(targets, shares, strict=True)) / 3
    spread = sum(abs(d - e) for d, e in zip(diversity, diversities, strict=True)) / 3
    total = (weights[0] * proportion + weights[1] * spread) / (weights[0] + weights[1])
    return Distance(proportion, spread, total)


def psp(
    sizes: Sequence[int],
    targets: Triple = TARGETS,
    diversity: Triple = DIVERSITY,
    weights: tuple[float, float] = WEIGHTS,
) -> Filling:
    """Proportional and sequential partitioning of families of the given sizes (positive)."""
    families = _Families(sizes, targets, diversity, weights)
    split, current, load = [], 0, 0
    for size in families.sizes:
        split.append(current)
        load += size
        if current < 2 and load / families.total >= targets[current] - _TOLERANCE:
            current, load = current + 1, 0
    return families.filling(split, None, 0.0)


def ifp(
    sizes: Sequence[int],
    targets: Triple = TARGETS,
    diversity: Triple = DIVERSITY,
    weights: tuple[float, float] = WEIGHTS,
) -> Filling:
    """Iterative filling at the μ of least distance; ties take the largest train share, then the smallest N₁."""
    families = _Families(sizes, targets, diversity, weights)
    fillings = (families.filling(families.fill(start, 0.0)[0], mu, 0.0) for start, mu in families.starts())
    return min(fillings, key=_rank)


def ifpo(
    sizes: Sequence[int],
    targets: Triple = TARGETS,
    diversity: Triple = DIVERSITY,
    weights: tuple[float, float] = WEIGHTS,
) -> Filling:
    """Iterative filling with overfill at the (μ, ε) of least distance; ties take the smallest ε, then as `ifp`.

    The filling changes only at breakpoints: of μ, where N₁ grows, and of ε, where one more family fits. Each run finds
    the next breakpoint by itself, so no grid can step over the best one. ε goes up to (p₁ − ½)/2, 0.1 by default, so
    that train keeps the half of the class that the method assumes; where no such filling has a family in each split (a
    class of three equal families needs 0.184), ε goes on to the first value that gives one. At a breakpoint a split
    exceeds its target by ε, hence the proportion part is at least 2ε/3, and the search ends where that alone is more
    than the best distance. Above 100 families ε and N₁ advance in small steps instead.
    """
    families = _Families(sizes, targets, diversity, weights)
    bound = weights[0] / (weights[0] + weights[1]) * 2 / 3
    step = 0.0 if len(sizes) <= _EXACT_FAMILIES else _COARSE_STEP
    most = max(0.0, (targets[0] - 0.5) / 2)
    best: Filling | None = None
    beyond: list[tuple[int, float, float]] = []
    for start, mu in families.starts():
        epsilon = 0.0
        while best is None or not all(best.families) or bound * epsilon <= best.distance.total + _TOLERANCE:
            split, following = families.fill(start, epsilon)
            candidate = families.filling(split, mu, epsilon)
            if best is None or _rank(candidate) < _rank(best):
                best = candidate
            if following > most + _TOLERANCE:
                beyond.append((start, mu, following))
                break
            epsilon = max(following, min(epsilon + step, most))
    assert best is not None  # the first round always runs
    if all(best.families):
        return best
    fillings = (families.first_complete(start, mu, epsilon, step) for start, mu, epsilon in beyond)
    complete = [filling for filling in fillings if filling is not None]
    return min(complete, key=lambda filling: (round(filling.epsilon, 12), *_rank(filling)), default=best)


def candidates(
    sizes: Sequence[int],
    targets: Triple = TARGETS,
    diversity: Triple = DIVERSITY,
    weights: tuple[float, float] = WEIGHTS,
    chosen: float = 0.0,
) -> list[Candidate]:
    """What `ifpo` chooses from: the fillings of all (μ, ε) with 0 < μ ≤ 1 and 0 ≤ ε up to its usual end.

    By μ, then ε, without gaps; ε goes on to a little above `chosen` where that lies further. Steps are those of `ifpo`:
    every breakpoint up to 100 families, above that small steps, of which `chosen` is always one.
    """
    families = _Families(sizes, targets, diversity, weights)
    step = 0.0 if len(sizes) <= _EXACT_FAMILIES else _COARSE_STEP
    usual = max(0.0, (targets[0] - 0.5) / 2)
    most = max(usual, 1.05 * chosen) or _COARSE_STEP
    tried: list[Candidate] = []
    before = 0.0
    for start, mu in families.starts():
        epsilon, split, since = 0.0, None, 0.0
        while epsilon < most:
            filled, following = families.fill(start, epsilon)
            if split is not None and filled != split:
                tried.append(Candidate(families.filling(split, mu, since), before, mu, since, epsilon))
                since = epsilon
            split = filled
            after = max(following, min(epsilon + step, usual))
            epsilon = chosen if epsilon < chosen < after else after
        if split is not None:
            tried.append(Candidate(families.filling(split, mu, since), before, mu, since, most))
        before = mu
    return tried


def _rank(filling: Filling) -> tuple[bool, float, float, float]:
    """Sort key: a family in each split, then distance, then the smallest ε, then the largest train share."""
    return (
        not all(filling.families),
        round(filling.distance.total, 12),
        round(filling.epsilon, 12),
        -round(filling.shares[0], 12),
    )


class _Families:
    """The families of one class in falling order of size (ties: in the order given) and how they fill the splits."""

    def __init__(self, sizes: Sequence[int], targets: Triple, diversity: Triple, weights: tuple[float, float]) -> None:
        if not len(sizes) or min(sizes) <= 0:
            raise ValueError("a class needs at least one family and every family a positive size")
        self.order = sorted(range(len(sizes)), key=lambda i: -sizes[i])
        self.sizes = [int(sizes[i]) for i in self.order]
        self.total = sum(self.sizes)
        self.targets = targets
        self.diversity = diversity
        self.weights = weights

    def first(self, mu: float) -> int:
        """N₁: the smallest number of largest families whose cumulative share reaches μ · min(p₂, p₃), at least one."""
        load = 0
        for count, size in enumerate(self.sizes, start=1):
            load += size
            if load / self.total >= mu * min(self.targets[1:]) - _TOLERANCE:
                return count
        return len(self.sizes)

    def starts(self) -> Iterator[tuple[int, float]]:
        """Every N₁ that some μ in ]0, 1] gives, with the largest such μ; thinned above 100 families."""
        last = self.first(1.0)
        counts: Iterable[int] = range(1, last + 1)
        if len(self.sizes) > _EXACT_FAMILIES and last > _COARSE_STARTS:
            counts = sorted({round(value) for value in np.linspace(1, last, _COARSE_STARTS).tolist()})
        for count in counts:
            yield count, min(1.0, sum(self.sizes[:count]) / self.total / min(self.targets[1:]))

    def fill(self, start: int, epsilon: float) -> tuple[list[int], float]:
        """Fill with N₁ = `start` and overfill ε; return (split in falling order of size, next breakpoint of ε or inf).

        For every ε from the one given up to, but not including, the breakpoint returned the filling is the same.
        """
        sizes, total, count = self.sizes, self.total, len(self.sizes)
        split = [0] * start + [-1] * (count - start)
        load = [0, 0, 0]
        taken = [start, 0, 0]
        owed = [0, *(math.floor(self.diversity[s] / self.diversity[0] * start + 0.5) for s in (1, 2))]
        place = [start] * 3
        following = math.inf

        def take(s: int, limit: float, counts: bool) -> bool:
            """Give split `s` the largest family left that fits; one that did not fit before cannot fit later."""
            nonlocal following
            while place[s] < count:
                i = place[s]
                place[s] += 1
                if split[i] >= 0:
                    continue
                excess = (load[s] + sizes[i]) / total - self.targets[s]
                if excess <= limit + _TOLERANCE:
                    split[i] = s
                    load[s] += sizes[i]
                    taken[s] += 1
                    return True
                if counts:
                    following = min(following, excess)
            return False

        for limit, counts in ((0.0, False), (epsilon, True)):
            place = [start] * 3
            waiting = [s for s in (1, 2) if taken[s] < owed[s]]
            while waiting:
                waiting = [s for s in waiting if take(s, limit, counts) and taken[s] < owed[s]]
        place = [start] * 3
        open_splits = [0, 1, 2]
        while len(open_splits) > 1:
            open_splits = [s for s in open_splits if take(s, math.inf if s == 0 else epsilon, s > 0) or s == 0]
        return [max(s, 0) for s in split], following

    def first_complete(self, start: int, mu: float, epsilon: float, step: float) -> Filling | None:
        """The filling at the first breakpoint from ε on that has a family in each split; None when there is none."""
        while not math.isinf(epsilon):
            split, following = self.fill(start, epsilon)
            if len(set(split)) == 3:
                return self.filling(split, mu, epsilon)
            epsilon = max(following, epsilon + step)
        return None

    def filling(self, split: Sequence[int], mu: float | None, epsilon: float) -> Filling:
        """The result for the caller, in the order in which the sizes were given."""
        load, taken = [0, 0, 0], [0, 0, 0]
        given = [0] * len(split)
        for position, size, s in zip(self.order, self.sizes, split, strict=True):
            given[position] = s
            load[s] += size
            taken[s] += 1
        shares = (load[0] / self.total, load[1] / self.total, load[2] / self.total)
        diversities = [number / len(split) for number in taken]
        away = distance(shares, diversities, self.targets, self.diversity, self.weights)
        return Filling(
            split=tuple(given),
            sizes=(load[0], load[1], load[2]),
            shares=shares,
            families=(taken[0], taken[1], taken[2]),
            mu=mu,
            epsilon=epsilon,
            distance=away,
        )
