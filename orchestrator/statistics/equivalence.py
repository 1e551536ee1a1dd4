"""A cheaper configuration that is as good as the best but for a stated margin."""

from __future__ import annotations

import numpy as np

from orchestrator.results.configuration_summary import ConfigurationSummary
from orchestrator.statistics.paired import Differences

MARGIN = 0.01
"""In the unit of the score: one point of accuracy out of a hundred, 0.01 nats of loss."""

LEAST_PAIRS = 5
"""With fewer, an interval of Student's rests on the assumption of normal differences alone."""

Cost = tuple[int, int]


def cost_of(member: ConfigurationSummary) -> Cost | None:
    """(parameters in all, parameters that are trained): what a configuration costs, on any machine; None if unknown."""
    if member.total_parameters is None or member.trainable_parameters is None:
        return None
    return member.total_parameters, member.trainable_parameters


def within_margin(away: Differences, margin: float) -> np.ndarray:
    """bool [configurations]: whether the one-sided 95 % upper bound of the deficit is below the margin.

    One-sided t bound over the paired repeats; with fewer than five pairs nothing counts as within it.
    """
    with np.errstate(invalid="ignore"):
        is_within: np.ndarray = (away.upper_deficit() < margin) & (away.n >= LEAST_PAIRS)
    return is_within


def cheapest_equal(costs: list[Cost | None], best: int, away: Differences, margin: float) -> int | None:
    """The cheapest configuration that is cheaper than row `best` and within the margin of it; ties: the better mean.

    costs and `away` (differences to `best`) are in the same order. None where there is none.
    """
    limit = costs[best]
    if limit is None:
        return None
    equal = within_margin(away, margin)
    cheaper = [row for row, cost in enumerate(costs) if cost is not None and cost < limit and equal[row]]
    return min(cheaper, key=lambda row: (costs[row], -away.mean[row]), default=None)
