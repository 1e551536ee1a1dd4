"""The product's own proposer as a rule: it asks for lanes, is told their scores, and decides what goes on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

import numpy as np
from round_of_search import Round, Rule

from orchestrator.proposing.adaptive import Adaptive
from orchestrator.proposing.deciding import pending
from orchestrator.proposing.proposer import View
from orchestrator.store.searches import Ask, Budget, Decision, SearchRecord, Told, allowances, asked_of_lanes
from orchestrator.store.segments import LaneKey

PARTITION = "0" * 12
WORKERS = 2

Ends = dict[int, dict[int, tuple[int, float]]]
"""Configuration → repeat → (epochs, score)."""


def adaptive(most: int, /, **settings: Any) -> Rule:
    """The whole grid, or with settings an adaptive search, whose budget has so many repeats of each given
    configuration. Its choice has the best mean among those that go on and have the most epochs and repeats."""

    def rule(search: Round, draw: np.random.Generator) -> None:
        names = tuple(f"{place:012x}" for place in range(search.given))
        record = SearchRecord(
            proposer="adaptive", settings=settings, partitions=(PARTITION,), configurations=names, seed=search.seed
        )
        budget = Budget(number=1, allowances=allowances(dict.fromkeys(names, (most, search.epochs))))
        decisions: list[Decision] = []
        results: list[Told] = []
        ends: Ends = {}
        while True:
            waiting = pending(asked_of_lanes(decisions), results)
            proposal = Adaptive(record).propose(View(record, budget, decisions, results, waiting, WORKERS))
            if proposal is None:
                return
            reason, stopped = proposal.reason, {int(name, 16) for name in proposal.stopped}
            number = len(decisions) + 1
            decisions.append(Decision(number=number, budget=1, reason=reason, asks=proposal.asks, stacks=()))
            for epochs, lanes in _by_repeat(proposal.asks):
                for lane in lanes:
                    place = int(lane.configuration, 16)
                    value = search.train(place, lane.repeat, epochs)
                    results.append(Told(lane, epochs, "finished", value))
                    ends.setdefault(place, {})[lane.repeat] = epochs, value
                search.choose(_chosen(ends, stopped))

    return rule


def _by_repeat(asks: Sequence[Ask]) -> Iterator[tuple[int, list[LaneKey]]]:
    """Lanes of one repeat and one number of epochs at a time."""
    lanes = sorted((lane.repeat, ask.epochs, lane) for ask in asks for lane in ask.lanes())
    for (_, epochs), several in groupby(lanes, key=lambda one: one[:2]):
        yield epochs, [lane for *_, lane in several]


def _chosen(ends: Ends, stopped: set[int]) -> int:
    left = {place: trained for place, trained in ends.items() if place not in stopped}
    deepest = max(epochs for trained in left.values() for epochs, _ in trained.values())
    values = {
        place: [value for epochs, value in trained.values() if epochs == deepest] for place, trained in left.items()
    }
    most = max(map(len, values.values()))
    return max((place for place in values if len(values[place]) == most), key=lambda p: (np.mean(values[p]), -p))
