"""The looks of a race, computed again from the results that its search had: who was left, and how far from the leader.

The exclusions are those of `orchestrator.proposing.adaptive.survivors`, also the last ones, of which no decision tells
because nothing was left to ask.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orchestrator.results.course import Course
from orchestrator.statistics.confidence_set import race_leaves
from orchestrator.statistics.looks import LOOKS, Look
from orchestrator.statistics.paired import Differences, differences
from orchestrator.store.schema import RepeatState
from orchestrator.store.segments import LaneKey

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class RaceLook:
    """names: left before it, in the order of the search. leader: place of the best mean among them. away: paired
    differences to it, negative is worse. excluded: bool [names], by this look."""

    look: Look
    names: tuple[str, ...]
    leader: int
    away: Differences
    excluded: NDArray[np.bool_]


def race_looks(course: Course) -> list[RaceLook]:
    """Those for which all results are there and finite, in order; none of a search that does not race."""
    settings = course.search.settings
    if settings.get("repeats") != "race":
        return []
    looks = [Look(*one) for one in settings["looks"]] if "looks" in settings else list(LOOKS)
    names = _raced(course, looks[0].repeats) if looks else []
    if len(names) < 2:
        return []
    values, diverged = _scores(course, names, looks[-1].repeats)
    margin = float(settings.get("margin", 0.0))
    left, taken = np.arange(len(names)), list[RaceLook]()
    for number, look in enumerate(looks, 1):
        first, is_lost = values[:, : look.repeats], diverged[:, : look.repeats]
        if len(left) < 2 or not np.isfinite(first[left]).all():
            break
        stays = race_leaves(first, is_lost, looks[:number], margin, course.search.seed)
        leader = int(np.argmax(first[left].mean(axis=1)))
        away = differences(np.where(is_lost, np.nan, first)[left], leader, higher_is_better=True)
        taken.append(RaceLook(look, tuple(names[place] for place in left), leader, away, ~stays[left]))
        left = left[stays[left]]
    return taken


def _raced(course: Course, blocks: int) -> list[str]:
    """Configurations of which all first blocks were asked to the end while they went on."""
    return [
        name
        for name in dict.fromkeys(lane.configuration for lane in course.going)
        if all(course.going.get(lane, 0) >= _epochs(course, name) for lane in _lanes(course, name, blocks))
    ]


def _scores(course: Course, names: Sequence[str], blocks: int) -> tuple[Floats, NDArray[np.bool_]]:
    """[names, blocks]: what is compared, NaN where there is no result, and which diverged."""
    values = {(one.lane, one.epochs): one.value for one in course.results}
    ended = {
        one.lane: (one.value, RepeatState(one.state) is RepeatState.DIVERGED)
        for one in course.results
        if RepeatState(one.state).ended_by_itself()
    }
    scores, diverged = np.full((len(names), blocks), np.nan), np.zeros((len(names), blocks), dtype=bool)
    for row, name in enumerate(names):
        for column, lane in enumerate(_lanes(course, name, blocks)):
            known = values.get((lane, _epochs(course, name)))
            scores[row, column] = known if known is not None else ended.get(lane, (np.nan, False))[0]
            diverged[row, column] = ended.get(lane, (0.0, False))[1]
    return scores, diverged


def _lanes(course: Course, name: str, blocks: int) -> list[LaneKey]:
    """Block i is repeat i // k on partition i mod k."""
    partitions = course.search.partitions
    return [LaneKey(partitions[i % len(partitions)], name, i // len(partitions)) for i in range(blocks)]


def _epochs(course: Course, name: str) -> int:
    """All that the budget allows."""
    each = course.budget.of_each()
    return each[name][1] if name in each else max(epochs for _, epochs in each.values())
