"""Groups divided into splits so that every class comes near its targets at once, and no group is ever divided.

The objective is the sum over classes of |target − share| over the splits, for the share of a class's weight (images or
pixels) and, where asked for, for the share of its groups. It is minimised by a seeded greedy filling, improved by moves
of one group and exchanges of two until neither helps, from several starts of which the best is kept. Fillings of few
groups that hold several classes each end alike, because all take large groups first: other starts are drawn. Every draw
is a hash of the seed and the group's name, so the order of the manifest's rows plays no part.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_MISSING = 1000.0
"""Cost of a class without a group in a split: more than any distance that could be gained by it."""

_TAKEN = 500.0
"""Cost of a division that is taken: more than any distance, less than a class without a group in a split."""

_LEAST_GAIN = 1e-9
"""Improvements below this are rounding, and would let last bits of a sum decide the partition."""

_FEW = 500
"""Up to so many groups there are more starts, and only the best of all moves is made."""

_DRAWN = 400
"""Groups of all drawn starts together: each of few groups has more of them, since it takes less and differs more."""

_EXCHANGES = 400
"""Groups per round for which every exchange is looked at; beyond so many groups, single moves are fine enough."""

_WEAR = 0.5
"""Weight of `JointTask.wear` per class: enough for groups to take turns where shares suffer little by it."""


@dataclass(frozen=True)
class JointTask:
    """What is to be divided: G groups, K classes, 3 splits (train, valid, test).

    names: str [G], sorted. amounts: float64 [G, K], images or pixels of each class in each group.
    targets: float64 [3, K], wanted shares of each class's amount, columns sum to 1.
    diversity: float64 [3, K], wanted shares of each class's number of groups; ignored where its weight is 0.
    weights: of the amount part and of the diversity part, not negative.
    fixed: int [G], the split of groups that must not move, −1 for free ones.
    open_to: the splits that free groups may enter; every class must have a group in each of these.
    wear: float64 [G], how often each group was in valid already; others are preferred there. None: no preference.
    taken: divisions, a split per group, that are not wanted again while another is found.
    """

    names: tuple[str, ...]
    amounts: np.ndarray
    targets: np.ndarray
    diversity: np.ndarray
    weights: tuple[float, float]
    fixed: np.ndarray
    open_to: tuple[int, ...] = (0, 1, 2)
    wear: np.ndarray | None = None
    taken: frozenset[tuple[int, ...]] = frozenset()


def stratify(task: JointTask, seed: int, start: Sequence[int] | None = None) -> tuple[np.ndarray, float, list[int]]:
    """Return (split int64 [G] in 0..2, cost, classes that miss a split).

    The cost is the objective; the list holds column numbers of classes for which no group could be had in each split of
    `open_to` (empty in all but contrived cases of groups with several classes). `start`, a split per group, is one more
    starting point beside the seeded ones.
    """
    groups = len(task.names)
    filled, drawn = (8, _DRAWN // groups) if groups <= _FEW else (2, 0)
    starts = [_greedy(task, seed, restart) for restart in range(filled)]
    starts += [_drawn(task, seed, restart) for restart in range(drawn)]
    if start is not None:
        starts.insert(0, np.where(task.fixed >= 0, task.fixed, np.asarray(start, dtype=np.int64)))
    best: _State | None = None
    least = np.inf
    for restart, split in enumerate(starts):
        state = _State(task, split)
        _improve(state, _draws(task.names, f"{seed}/{restart}/exchange"))
        cost = state.cost() + _TAKEN * (tuple(state.split.tolist()) in task.taken)
        if cost < least - _LEAST_GAIN:
            best, least = state, cost
    assert best is not None  # there is at least one start
    missing = np.flatnonzero((best.members[list(task.open_to)] == 0).any(axis=0)).tolist()
    return best.split, best.cost(), missing


def _draws(names: Sequence[str], purpose: str) -> np.ndarray:
    """float64 [G] in [0, 1): one number per group from its name, the same whatever stands beside it."""
    digests = (hashlib.sha256(f"{purpose}\0{name}".encode("utf-8", "surrogatepass")).digest() for name in names)
    return np.array([int.from_bytes(digest[:6], "big") / 2**48 for digest in digests])


class _State:
    """A division under way: loads per split, and what changes of it would cost."""

    def __init__(self, task: JointTask, split: np.ndarray) -> None:
        self.task = task
        self.split = split.copy()
        self.member = (task.amounts > 0).astype(np.int64)
        shares = task.amounts / np.maximum(task.amounts.sum(axis=0), 1)
        groups = self.member / np.maximum(self.member.sum(axis=0), 1)
        self.rows = np.hstack([task.weights[0] * shares, task.weights[1] * groups])
        self.goal = np.hstack([task.weights[0] * task.targets, task.weights[1] * task.diversity])
        if task.wear is not None and task.wear.any():
            worn = _WEAR * task.amounts.shape[1] * task.wear[:, None] / task.wear.sum()
            self.rows = np.hstack([self.rows, worn])
            self.goal = np.hstack([self.goal, [[worn.sum()], [0.0], [0.0]]])
        self.required = np.zeros(3, dtype=bool)
        self.required[list(task.open_to)] = True
        self.load = np.zeros_like(self.goal)
        np.add.at(self.load, self.split, self.rows)
        self.members = np.zeros((3, self.member.shape[1]), dtype=np.int64)
        np.add.at(self.members, self.split, self.member)

    def cost(self) -> float:
        return float(sum(self._part(self.load[s], self.members[s], s) for s in range(3)))

    def _part(self, load: np.ndarray, members: np.ndarray, split: int) -> np.ndarray:
        """Cost of one split holding `load` [..., F] and `members` [..., K]; shape [...]."""
        away: np.ndarray = np.abs(self.goal[split] - load).sum(axis=-1)
        if self.required[split]:
            away = away + _MISSING * (members == 0).sum(axis=-1)
        return away

    def move(self, group: int, split: int) -> None:
        for array, rows in ((self.load, self.rows), (self.members, self.member)):
            array[self.split[group]] -= rows[group]
            array[split] += rows[group]
        self.split[group] = split

    def best_move(self, free: np.ndarray) -> tuple[float, int, int]:
        """(change of cost, group, split) of the best move of one free group."""
        leaving = np.empty(len(free))
        entering = np.empty((len(free), 3))
        rows, member, split = self.rows[free], self.member[free], self.split[free]
        for s in range(3):
            now = self._part(self.load[s], self.members[s], s)
            inside = split == s
            leaving[inside] = self._part(self.load[s] - rows[inside], self.members[s] - member[inside], s) - now
            entering[:, s] = self._part(self.load[s] + rows, self.members[s] + member, s) - now
            if inside.any():
                entering[inside, s] = np.inf
        closed = [s for s in range(3) if s not in self.task.open_to]
        entering[:, closed] = np.inf
        change = leaving[:, None] + entering
        best = int(np.round(change, 9).argmin())
        return float(change.flat[best]), int(free[best // 3]), best % 3

    def best_exchange(self, group: int, free: np.ndarray) -> tuple[float, int]:
        """(change of cost, other group) of the best exchange of `group` with a free group of another split."""
        here = int(self.split[group])
        best, partner = np.inf, -1
        for there in self.task.open_to:
            others = free[self.split[free] == there]
            if there == here or not len(others):
                continue
            rows, member = self.rows[others] - self.rows[group], self.member[others] - self.member[group]
            change = self._part(self.load[here] + rows, self.members[here] + member, here)
            change = change + self._part(self.load[there] - rows, self.members[there] - member, there)
            change -= self._part(self.load[here], self.members[here], here)
            change -= self._part(self.load[there], self.members[there], there)
            lowest = int(np.round(change, 9).argmin())
            if change[lowest] < best:
                best, partner = float(change[lowest]), int(others[lowest])
        return best, partner


def _greedy(task: JointTask, seed: int, restart: int) -> np.ndarray:
    """Large groups first, in a seeded order, each to the split that lacks most of the group's classes."""
    draws = _draws(task.names, f"{seed}/{restart}/greedy")
    shares = task.amounts / np.maximum(task.amounts.sum(axis=0), 1)
    lacking = task.targets - np.stack([shares[task.fixed == s].sum(axis=0) for s in range(3)])
    split = task.fixed.copy()
    for group in np.argsort(-shares.max(axis=1) * (0.25 + draws), kind="stable"):
        if split[group] < 0:
            need = (shares[group] * lacking / np.maximum(task.targets, 1e-9)).sum(axis=1)
            split[group] = max(task.open_to, key=lambda s: round(float(need[s]), 9))
            lacking[split[group]] -= shares[group]
    return split


def _drawn(task: JointTask, seed: int, restart: int) -> np.ndarray:
    """Each free group to any split that is open, with equal chances."""
    draws = _draws(task.names, f"{seed}/{restart}/drawn")
    splits = np.array(task.open_to)[(draws * len(task.open_to)).astype(np.int64)]
    return np.where(task.fixed >= 0, task.fixed, splits)


def _improve(state: _State, draws: np.ndarray) -> None:
    """Moves and exchanges, each for the better, until neither is found."""
    free = np.flatnonzero(state.task.fixed < 0)
    order = free[np.argsort(draws[free], kind="stable")]
    # The greedy filling knows nothing of diversity: where that counts, many groups have far to go.
    moving = len(free) > _FEW and state.task.weights[1] > 0
    while moving:
        moving = False
        for group in order:
            change, _, split = state.best_move(np.array([group]))
            if change < -_LEAST_GAIN:
                state.move(group, split)
                moving = True
    while len(free):
        change, group, split = state.best_move(free)
        if change < -_LEAST_GAIN:
            state.move(group, split)
            continue
        exchanged = False
        for group in order[:_EXCHANGES].tolist():
            change, other = state.best_exchange(group, free)
            if change < -_LEAST_GAIN:
                here, there = int(state.split[group]), int(state.split[other])
                state.move(group, there)
                state.move(other, here)
                exchanged = True
        if not exchanged:
            return
