"""What a search weighs against the score that selects: hours, parameters, or a second metric."""

from __future__ import annotations

from orchestrator.store.errors import InputError
from orchestrator.store.schema import FinalRecord, History, RepeatState
from search_spaces.faults import did_you_mean, nearest
from search_spaces.settings.data import TASKS
from trainables.learning.metrics import selection_scores

COSTS = {"hours": "hours per repeat", "parameters": "trained parameters"}
"""By name, in words; every other goal is a metric of the task."""


def goals_of(task: str, metric: str) -> tuple[str, ...]:
    """That a search may have which selects by a metric."""
    return *COSTS, *(name for name in TASKS.variants[task].counted if name != metric)


def check_goal(goal: str, task: str, metric: str) -> None:
    """Raises InputError where it is none of them."""
    known = goals_of(task, metric)
    if goal not in known:
        raise InputError(
            f"goal {goal!r}: expected one of {', '.join(known)}{did_you_mean(nearest(goal, known))}",
            "--goal names what is traded off against the selection metric.",
        )


def goal_value(record: FinalRecord, goal: str, start: History, selected: int) -> float:
    """Of a repeat, larger is better: hours and parameters with a minus, a metric on valid at the selected epoch.

    start: its history as far as it counts. Of one that diverged hours are not known (NaN).
    """
    if goal == "parameters":
        return -float(record.meta.get("trainable_parameters") or 0)
    if goal == "hours":
        share = len(start.loss) / len(record.history.loss)
        is_known = record.state is not RepeatState.DIVERGED
        return -share * float(record.meta.get("seconds") or 0) / 3600 if is_known else float("nan")
    plain = History(start.splits, start.loss, start.statistics, None)
    return float(selection_scores(goal, plain)[selected])
