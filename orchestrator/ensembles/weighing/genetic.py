"""A small genetic algorithm over weights in steps of 0.05, as student reports have it.

It is never better than the grid, of which it looks at a part.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from orchestrator.ensembles.problem import Floats, Problem
from orchestrator.ensembles.weighing.steps import SHARES

POPULATION = 40
GENERATIONS = 40
RIVALS = 3
"""Of which the best becomes a parent."""

Shares = NDArray[np.int64]


def genetic(problem: Problem) -> Floats:
    """The best that was met; its draws follow from the problem's seed.

    The first generation: each member alone, equal weights, and random ones. Each later one: the best of the one before
    as it is, and children of two parents, share by share from either, of which some move a share between two members.
    """
    members = len(problem.members)
    draw = np.random.default_rng([problem.seed, members])
    population = np.concatenate([np.eye(members, dtype=np.int64) * SHARES, _even(members), _random(draw, members)])
    values = problem.goodness(population / SHARES)
    for _ in range(GENERATIONS):
        children = [population[[int(np.argmax(values))]]]
        parents = population[_winners(draw, values, 2 * (POPULATION - 1))].reshape(2, -1, members)
        children.append(_moved(draw, _mixed(draw, *parents)))
        population = np.concatenate(children)
        values = problem.goodness(population / SHARES)
    best: Floats = population[int(np.argmax(values))] / SHARES
    return best


def _even(members: int) -> Shares:
    return np.bincount(np.arange(SHARES) % members, minlength=members)[None]


def _random(draw: np.random.Generator, members: int) -> Shares:
    shares: Shares = draw.multinomial(SHARES, draw.dirichlet(np.ones(members), size=POPULATION))
    return shares


def _winners(draw: np.random.Generator, values: Floats, count: int) -> Shares:
    """Places of the best of RIVALS each, int64 [count]."""
    met = draw.integers(0, len(values), size=(count, RIVALS))
    winners: Shares = np.take_along_axis(met, values[met].argmax(axis=1)[:, None], axis=1)[:, 0]
    return winners


def _mixed(draw: np.random.Generator, one: Shares, other: Shares) -> Shares:
    """Between two parents, at a random place, in whole shares of the same sum."""
    place = draw.random((len(one), 1))
    between = one * place + other * (1 - place)
    whole = np.floor(between).astype(np.int64)
    order = np.argsort(whole - between, axis=1, kind="stable")
    lacking = SHARES - whole.sum(axis=1)
    np.put_along_axis(
        whole, order, np.take_along_axis(whole, order, 1) + (np.arange(one.shape[1]) < lacking[:, None]), 1
    )
    return whole


def _moved(draw: np.random.Generator, children: Shares) -> Shares:
    """Each moves up to three shares, each from a member that has some to any, with a chance of 1/2, 1/4 and 1/6."""
    rows = np.arange(len(children))
    for left in range(3):
        giving = draw.random(children.shape) * (children > 0)
        source, sink = giving.argmax(axis=1), draw.integers(0, children.shape[1], size=len(children))
        moves = (draw.random(len(children)) < 0.5 / (left + 1)).astype(np.int64)
        children[rows, source] -= moves
        children[rows, sink] += moves
    return children
