"""A score against what it costs, or against a second metric: which configurations nothing beats in both."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orchestrator.results.configuration_summary import ConfigurationSummary
from orchestrator.results.goals import COSTS
from orchestrator.results.summary import Summary
from orchestrator.statistics.pareto import front_chances, on_front
from orchestrator.store.schema import Metric
from trainables.learning.metrics import is_loss

Floats = NDArray[np.float64]
MAY_BE = 0.05
"""From this chance on a configuration may be on the front."""


@dataclass(frozen=True)
class Front:
    """members: ranked ones that have both, in the order of the ranks. values: of each float64 [n, 2], score and goal of
    every repeat, as they are read. is_there: bool [C]: no other is as good in both and better in one. chances: float64
    [C], of being there when repeats are drawn anew (`pareto.front_chances`)."""

    goal: str
    members: tuple[ConfigurationSummary, ...]
    values: tuple[Floats, ...]
    is_there: NDArray[np.bool_]
    chances: Floats

    @property
    def errors(self) -> tuple[Floats, ...]:
        """Of each float64 [2], the standard errors of both means; NaN of a single repeat."""
        return tuple(
            own.std(axis=0, ddof=1) / np.sqrt(len(own)) if len(own) > 1 else np.full(2, np.nan) for own in self.values
        )


def front(summary: Summary, members: Iterable[ConfigurationSummary], score: Metric, goal: str) -> Front:
    """members: of one partition. score: on valid at the selected epochs. goal: see `results.goals`."""
    hours = _hours(summary) if goal == "hours" else {}
    pairs = [(member, pair) for member in members if (pair := _pair(member, score, goal, hours)) is not None]
    signs = np.array([_sign(score), _sign(goal)])
    signed = [pair * signs for _, pair in pairs]
    is_there = on_front(np.array([own.mean(axis=0) for own in signed]).reshape(len(pairs), 2))
    chances = front_chances(signed, summary.study.seed) if pairs else np.empty(0)
    return Front(goal, tuple(member for member, _ in pairs), tuple(pair for _, pair in pairs), is_there, chances)


def goal_of_searches(summary: Summary) -> str:
    """The second goal of the last search that has one; "" where none has."""
    return next((str(goal) for one in reversed(summary.searches) if (goal := one.settings.get("goal"))), "")


def _sign(goal: str) -> float:
    return -1.0 if goal in COSTS or is_loss(goal) else 1.0


def _hours(summary: Summary) -> dict[tuple[str, str], list[float]]:
    """By partition and configuration, of each repeat that has a result, in order."""
    table = summary.repeats.table
    hours: dict[tuple[str, str], list[float]] = {}
    columns = (table[name].tolist() for name in ("partition", "configuration", "seconds"))
    for partition, configuration, seconds in zip(*columns, strict=True):
        hours.setdefault((partition, configuration), []).append(float(seconds) / 3600)
    return hours


def _pair(
    member: ConfigurationSummary, score: Metric, goal: str, hours: dict[tuple[str, str], list[float]]
) -> Floats | None:
    """[n, 2]; None where there is no such score, or the configuration has no rank."""
    first = member.score(score, "valid")
    if member.rank is None or first is None or not np.isfinite(first.values).all():
        return None
    if goal == "hours":
        second = np.array(hours[member.partition, member.id])
    elif goal == "parameters":
        if member.trainable_parameters is None:
            return None
        second = np.full(first.n, float(member.trainable_parameters))
    else:
        other = member.score(goal, "valid")
        if other is None or not np.isfinite(other.values).all():
            return None
        second = other.values
    return np.stack([first.values, second], axis=1)
