"""Weights with the least log loss, none negative, of sum 1: a convex problem for probabilities and for logits."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize
from scipy.special import softmax

from orchestrator.ensembles.combining import LOGITS, VOTES
from orchestrator.ensembles.problem import Floats, Problem
from orchestrator.store.errors import InputError

LEAST = 1e-3
"""A smaller weight is none: it costs passes and changes nothing."""
_TINY = 1e-12


def least_loss(problem: Problem) -> Floats:
    """Whatever the target is, the log loss is what is made small. Raises InputError for votes, which have none."""
    check_combining(problem)
    count = len(problem.members)
    start = np.full(count, 1 / count)
    solution = minimize(
        _by_logits if problem.combining is LOGITS else _by_probabilities,
        start,
        (problem,),
        jac=True,
        bounds=[(0, 1)] * count,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1, "jac": lambda w: np.ones(count)},
        method="SLSQP",
        options={"maxiter": 200, "ftol": 1e-10},
    )
    weights: Floats = np.where(solution.x < LEAST, 0.0, solution.x)
    return weights / weights.sum() if np.isfinite(weights).all() and weights.sum() > 0 else start


def check_combining(problem: Problem) -> None:
    if problem.combining is VOTES:
        raise InputError("--weights loss: expected means of probabilities or logits, found votes", "--combine logits")


def _by_probabilities(weights: Floats, problem: Problem) -> tuple[float, Floats]:
    """Mean loss and its slope [M]."""
    own = problem.members[:, np.arange(len(problem.truth)), problem.truth]
    mean, often = np.maximum(weights @ own, _TINY), problem.often / problem.often.sum()
    return float(-(often * np.log(mean)).sum()), -(own * (often / mean)).sum(axis=1)


def _by_logits(weights: Floats, problem: Problem) -> tuple[float, Floats]:
    rows, often = np.arange(len(problem.truth)), problem.often / problem.often.sum()
    mean = np.tensordot(weights, problem.members, axes=1)
    chances = softmax(mean, axis=-1)
    value = -(often * np.log(np.maximum(chances[rows, problem.truth], _TINY))).sum()
    expected = np.einsum("mnk,nk->mn", problem.members, chances)
    return float(value), ((expected - problem.members[:, rows, problem.truth]) * often).sum(axis=1)
