"""What stands beside the estimate of the upright images: other ways to predict, operating points, subgroups.

Each can be asked for later by its option, and joins what the same look was asked before.
"""

from __future__ import annotations

from typing import NamedTuple

from orchestrator.evaluation.choice import USER_PREFIX
from orchestrator.evaluation.estimates import operating_point, subgroups
from orchestrator.evaluation.plan import Plan
from orchestrator.evaluation.record import Estimate, OperatingPoint, Subgroup
from orchestrator.evaluation.samples import Units


class Beside(NamedTuple):
    """estimates: the one that is not beside, of the upright images, comes first."""

    estimates: tuple[Estimate, ...]
    points: tuple[OperatingPoint, ...]
    subgroups: tuple[Subgroup, ...]

    def joined_to(self, earlier: Beside) -> Beside:
        """With what was found earlier and is not asked for now."""
        ways = [_way(one) for one in self.estimates]
        asked = {(point.asked, point.name) for point in self.points}
        columns = {part.column for part in self.subgroups}
        return Beside(
            (*self.estimates, *(one for one in earlier.estimates if _way(one) not in ways)),
            (*(one for one in earlier.points if (one.asked, one.name) not in asked), *self.points),
            (*(one for one in earlier.subgroups if one.column not in columns), *self.subgroups),
        )

    def like(self, other: Beside) -> Beside:
        """What of it was found in the same way of the other one: to be shown beside that."""
        ways = [_way(one)[1:] for one in other.estimates]
        asked = {(point.asked, point.name) for point in other.points}
        columns = {part.column for part in other.subgroups}
        return Beside(
            tuple(one for one in self.estimates if _way(one)[1:] in ways),
            tuple(one for one in self.points if (one.asked, one.name) in asked),
            tuple(one for one in self.subgroups if one.column in columns),
        )


def beside(plan: Plan, estimates: tuple[Estimate, ...], test: Units, valid: Units) -> Beside:
    """What the plan asks for besides, of the models whose probabilities these are."""
    return Beside(
        estimates,
        tuple(operating_point(wanted, test, valid, plan.classes) for wanted in plan.points),
        tuple(
            part
            for column in plan.columns
            for part in subgroups(column.removeprefix(USER_PREFIX), plan.split.test[column], test, plan.classes)
        ),
    )


def _way(one: Estimate) -> tuple[object, ...]:
    """Who predicts and what images, of one model on one test set."""
    drawn = [(change.names, change.strengths) if change else None for change in (one.tta, one.augmented)]
    return one.ensemble, one.views, *drawn
