"""How one search went, from its records: what was known at each decision, what stopped after how much, and why.

Told for every proposer alike: what goes on, what stops and what is trained to the end as a check follow from what
decisions ask for and say is stopped, not from their words.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from orchestrator.results.comparing import compared_by_valid
from orchestrator.results.names import counted, span
from orchestrator.results.news import NewsReader
from orchestrator.store.errors import DamagedRecordError
from orchestrator.store.schema import Metric, RepeatState
from orchestrator.store.searches import Budget, Decision, News, SearchRecord, Told, told
from orchestrator.store.segments import LaneKey
from orchestrator.store.storage import Storage
from search_spaces.configuration import Configuration
from search_spaces.stored import read_configuration
from trainables.learning.metrics import is_loss

Lanes = dict[LaneKey, int]
"""With the epochs asked of each."""


class Stop(NamedTuple):
    """A configuration of which the search asks no more. reason: of the decision that let others go on. repeats,
    epochs: asked of it before. is_checked: whether it is trained to the end all the same."""

    reason: str
    repeats: int
    epochs: int
    is_checked: bool

    @property
    def words(self) -> str:
        """No verdict: nobody knows what it would have become, unless it is trained to the end."""
        after = f"stopped by the search after {counted(self.repeats, 'repeat')}, {counted(self.epochs, 'epoch')}"
        return f"{after}: " + ("trained to the end as a check" if self.is_checked else "its final score is unknown")


class Stage(NamedTuple):
    """Decisions in a row that ask as much of each. number, reason: of the first one. repeats, epochs: asked of each by
    then, "3" or "4–6". entered: what was not stopped. stopped: those of them that go no further; checked: of these."""

    number: int
    reason: str
    repeats: str
    epochs: str
    entered: frozenset[str]
    stopped: frozenset[str] = frozenset()
    checked: frozenset[str] = frozenset()


class Known(NamedTuple):
    """The best mean at one time. decision: None after the last one. spent: epochs of all results. value: as selection
    compares it, larger is better. error: standard error of the mean over its n repeats; NaN where n < 2."""

    decision: Decision | None
    spent: int
    configuration: str
    value: float
    error: float
    n: int


class _Step(NamedTuple):
    """A decision, and what it asks for: of those that go on, and of those that it says are stopped."""

    decision: Decision
    going: Lanes
    checks: Lanes

    @classmethod
    def of(cls, decision: Decision) -> _Step:
        step, stopped = cls(decision, {}, {}), set(decision.stopped)
        for ask in decision.asks:
            for lane in ask.lanes():
                (step.checks if lane.configuration in stopped else step.going)[lane] = ask.epochs
        return step


@dataclass(frozen=True)
class Course:
    """fresh: results that no decision has seen yet. metric: by which its configurations are compared."""

    search: SearchRecord
    budget: Budget
    decisions: Sequence[Decision]
    fresh: tuple[News, ...]
    metric: Metric

    @cached_property
    def results(self) -> list[Told]:
        """All that is known, in the order in which it was told."""
        return told([*(one for decision in self.decisions for one in decision.news), *self.fresh])

    @cached_property
    def going(self) -> Lanes:
        """All that was asked of configurations while they went on."""
        return _together(step.going for step in self._steps)

    @cached_property
    def checks(self) -> Lanes:
        """Lanes of stopped configurations that are trained on as a check."""
        return _together(step.checks for step in self._steps)

    @cached_property
    def least(self) -> int:
        """Repeats with which a configuration came in, the fewest of any: what the search ranks on first."""
        first: dict[str, int] = {}
        for step in self._steps:
            first = {**_repeats(step.going), **first}
        return min(first.values(), default=1)

    def score(self, value: float) -> float:
        """A value as selection compares it in the metric's own direction."""
        return -value if is_loss(self.metric) else value

    @cached_property
    def stops(self) -> dict[str, Stop]:
        """By configuration, of those that are stopped as it stands now."""
        stops: dict[str, Stop] = {}
        asked, checked = Lanes(), {lane.configuration for lane in self.checks}
        for place, (decision, going, _) in enumerate(self._steps):
            stops = {name: stop for name, stop in stops.items() if name in decision.stopped}
            for name in {lane.configuration for lane in asked}.intersection(decision.stopped).difference(stops):
                epochs = [epochs for lane, epochs in asked.items() if lane.configuration == name]
                stops[name] = Stop(self._reason(place), len(epochs), max(epochs), name in checked)
            asked |= going
        return stops

    @cached_property
    def stages(self) -> list[Stage]:
        """In order; those of the last one that are not stopped are left."""
        stages: list[Stage] = []
        asked = Lanes()
        for decision, going, checks in self._steps:
            if stages:
                last = stages[-1]
                stopped = last.stopped | last.entered.intersection(decision.stopped)
                checked = stopped.intersection(lane.configuration for lane in checks)
                stages[-1] = last._replace(stopped=stopped, checked=last.checked | checked)
            if not going:
                continue
            asked |= going
            names = frozenset(lane.configuration for lane in asked).difference(decision.stopped)
            repeats, epochs = _repeats(lane for lane in asked if lane.configuration in names), set(going.values())
            stage = Stage(decision.number, decision.reason, span(repeats.values()), span(epochs), names)
            if stages and stage[2:4] == stages[-1][2:4] and not stages[-1].stopped:
                stages[-1] = stages[-1]._replace(entered=names)
            else:
                stages.append(stage)
        return stages

    def known(self) -> Iterator[Known]:
        """The best mean over at least `least` repeats of what is not stopped, at each decision that knew some, and
        now."""
        values: dict[str, dict[LaneKey, float]] = defaultdict(dict)
        means: dict[str, float] = {}
        epochs = Lanes()
        now: list[tuple[Decision | None, tuple[News, ...]]] = [(None, self.fresh)] if self.fresh else []
        for decision, news in [*((one, one.news) for one in self.decisions), *now]:
            for one in told(news):
                if one.epochs >= epochs.get(one.lane, 0):
                    epochs[one.lane] = one.epochs
                    values[one.lane.configuration][one.lane] = one.value
            for name in {one.configuration for one in news}:
                mean = float(np.mean(list(values[name].values())))
                if len(values[name]) >= self.least and np.isfinite(mean):
                    means[name] = mean
            stopped = (decision or self.decisions[-1]).stopped
            left = means.keys() - stopped
            if left:
                best = max(sorted(left), key=lambda name: means[name])
                own = np.array(list(values[best].values()))
                error = float(own.std(ddof=1) / np.sqrt(len(own))) if len(own) > 1 else float("nan")
                yield Known(decision, sum(epochs.values()), best, means[best], error, len(own))

    @cached_property
    def _steps(self) -> list[_Step]:
        return [_Step.of(decision) for decision in self.decisions]

    def _reason(self, place: int) -> str:
        """Of this decision, or of the first from it on that lets somebody go on."""
        following = (step.decision.reason for step in self._steps[place:] if step.going)
        return next(following, self.decisions[place].reason)


def has_chosen(search: SearchRecord, decisions: Sequence[Decision]) -> bool:
    """Whether there is anything to say of how it went: not of a search that said once for each budget what to train."""
    answered = [decision.budget for decision in decisions]
    chose = len(answered) > len(set(answered)) or any(decision.stopped for decision in decisions)
    return bool(decisions) and (chose or bool(search.settings))


def course_of(storage: Storage, search: SearchRecord, budget: Budget, decisions: Sequence[Decision]) -> Course | None:
    """None where it has not chosen, see `has_chosen`, or none of its configurations can be read.

    Reads configurations, and final records that no decision has seen yet.
    """
    if not has_chosen(search, decisions):
        return None
    asked = _together(_Step.of(decision).going for decision in decisions)
    asked |= _together(_Step.of(decision).checks for decision in decisions)
    configurations = _readable(storage, dict.fromkeys(lane.configuration for lane in asked))
    if not configurations:
        return None
    results = told(one for decision in decisions for one in decision.news)
    known = {(one.lane, one.epochs) for one in results}
    ended = {one.lane for one in results if RepeatState(one.state).ended_by_itself()}
    left = {
        lane: epochs
        for lane, epochs in asked.items()
        if (lane, epochs) not in known and lane not in ended and lane.configuration in configurations
    }
    fresh = NewsReader(storage).news(left, known, compared_by_valid(configurations.values()))
    metric = next(iter(configurations.values())).selection.metric
    return Course(search, budget, decisions, fresh, metric)


def _readable(storage: Storage, names: Iterable[str]) -> Mapping[str, Configuration]:
    """Those of them that can be read; of the others a summary says so."""
    configurations = {}
    for name in names:
        try:
            configurations[name] = read_configuration(storage, name)
        except (FileNotFoundError, DamagedRecordError):
            continue
    return configurations


def _together(several: Iterable[Lanes]) -> Lanes:
    most = Lanes()
    for lanes in several:
        for lane, epochs in lanes.items():
            most[lane] = max(epochs, most.get(lane, 0))
    return most


def _repeats(lanes: Iterable[LaneKey]) -> dict[str, int]:
    """By configuration."""
    counts: dict[str, int] = defaultdict(int)
    for lane in lanes:
        counts[lane.configuration] += 1
    return counts
