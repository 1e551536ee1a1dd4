"""What a search lost by stopping: configurations that a rung stopped and that were trained to the end as a check.

Each is compared with those that finished, and with the one that the search selects, over the repeats that it has.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from orchestrator.results.course import Course, Lanes, Stop
from orchestrator.results.names import counted, words
from orchestrator.results.report import finite
from orchestrator.statistics.paired import difference_intervals
from orchestrator.store.schema import Metric, RepeatState
from orchestrator.store.segments import LaneKey


@dataclass(frozen=True)
class Check:
    """rank: among itself and the `of` − 1 that finished. regret: by how much it is better than the selected one, in the
    metric's unit, negative where it is worse; low and high bound it at 95 % (Student's t over n pairs)."""

    configuration: str
    stop: Stop
    rank: int
    of: int
    regret: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Audit:
    """selected: by the best mean over all its repeats, of those that finished and were not stopped; "" as long as there
    is none. checks: in the order of their ranks. pending: configurations whose check has no result yet."""

    metric: Metric
    selected: str
    checks: tuple[Check, ...]
    pending: int

    @property
    def missed(self) -> int:
        """Checks that would have been the best."""
        return sum(check.rank == 1 for check in self.checks)

    @property
    def said(self) -> str:
        told = ""
        if self.checks:
            worst = max(self.checks, key=lambda check: check.regret)
            count = len(self.checks)
            if count == 1:
                would = "would" if self.missed else "would not"
                told = f"The stopped configuration trained to the end as a check {would} have been the best; "
            else:
                first = str(self.missed or "None")
                told = f"{first} of the {count} stopped configurations trained to the end as a check would have been "
                told += "the best; "
            told += "the largest regret is " if worst.regret > 0 else "the closest trails the selected one by "
            told += f"{abs(worst.regret):.4f} ({words(self.metric)}{_interval(worst)})."
        if self.pending:
            are = "is" if self.pending == 1 else "are"
            told += (
                f" {counted(self.pending, 'stopped configuration')} {are} still to be trained to the end as a check."
            )
        return told.strip()

    def as_json(self) -> dict[str, Any]:
        return {
            "said": self.said,
            "metric": self.metric,
            "selected": self.selected,
            "would_have_been_best": self.missed,
            "pending": self.pending,
            "checks": [
                {
                    "configuration": one.configuration,
                    "stopped_after_repeats": one.stop.repeats,
                    "stopped_after_epochs": one.stop.epochs,
                    "reason": one.stop.reason,
                    "rank": one.rank,
                    "of": one.of,
                    "regret": finite(one.regret),
                    "low": finite(one.low),
                    "high": finite(one.high),
                    "repeats": one.n,
                }
                for one in self.checks
            ],
        }


def audit_of(course: Course) -> Audit | None:
    """None where nothing is trained to the end as a check."""
    checked = [name for name, stop in course.stops.items() if stop.is_checked]
    if not checked:
        return None
    values = _whole(course, course.going)
    ends = {name: _whole(course, course.checks).get(name, {}) for name in checked}
    left = {name: float(np.mean(list(own.values()))) for name, own in values.items() if name not in course.stops}
    selected = max(sorted(left), key=lambda name: left[name]) if left else ""
    checks = [check for name in checked if (check := _check(course, name, ends[name], values, selected)) is not None]
    ordered = sorted(checks, key=lambda check: (check.rank, -check.regret))
    return Audit(course.metric, selected, tuple(ordered), len(checked) - len(checks))


def _check(
    course: Course, name: str, own: dict[LaneKey, float], values: dict[str, dict[LaneKey, float]], selected: str
) -> Check | None:
    """None where it, or the selected one, has no result to the end on the same repeats yet."""
    blocks = [(lane.partition, lane.repeat) for lane in own]
    asked = sum(lane.configuration == name for lane in course.checks)
    finished = {
        other: [its[lane] for block in blocks if (lane := LaneKey(block[0], other, block[1])) in its]
        for other, its in values.items()
        if other != name
    }
    finished = {other: its for other, its in finished.items() if len(its) == len(blocks)}
    if not own or len(own) < asked or selected not in finished:
        return None
    mine = np.array(list(own.values()))
    rank = 1 + sum(bool(np.mean(its) >= mine.mean()) for its in finished.values())
    away = difference_intervals((mine - np.array(finished[selected]))[None])
    regret, low, high = (float(part[0]) for part in (away.mean, away.low, away.high))
    return Check(name, course.stops[name], rank, len(finished) + 1, regret, low, high, len(mine))


def _whole(course: Course, lanes: Lanes) -> dict[str, dict[LaneKey, float]]:
    """By configuration the finite values of those lanes that were asked to the end of the epochs and came there."""
    most = {name: epochs for name, (_, epochs) in course.budget.of_each().items()}
    longest = max(most.values())
    values: dict[str, dict[LaneKey, float]] = {}
    for one in course.results:
        end = most.get(one.lane.configuration, longest)
        has_ended = one.epochs >= end or RepeatState(one.state).ended_by_itself()
        if lanes.get(one.lane, 0) >= end and has_ended and math.isfinite(one.value):
            values.setdefault(one.lane.configuration, {})[one.lane] = one.value
    return values


def _interval(check: Check) -> str:
    """Of what is told of it, in its direction."""
    low, high = (check.low, check.high) if check.regret > 0 else (-check.high, -check.low)
    bounds = "" if math.isnan(low) else f", 95 % interval {low:.4f} to {high:.4f}".replace("-", "−")
    return f"{bounds}, n = {check.n}"
