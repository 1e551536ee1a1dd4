"""The product's own proposer as a rule: it asks for lanes, is told their scores, and decides what goes on."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

import numpy as np
from curves import Dimension
from round_of_search import Round, Rule

from orchestrator.proposing.adaptive import LEAST_KEPT, SCREENED_AFTER, Adaptive, Settings
from orchestrator.proposing.deciding import pending, suggestions_of
from orchestrator.proposing.proposer import View
from orchestrator.proposing.rungs import AUDITED, epochs_at, shares
from orchestrator.store.searches import (
    Ask,
    Budget,
    Decision,
    Distribution,
    SearchRecord,
    Told,
    allowances,
    asked_of_lanes,
)
from orchestrator.store.segments import LaneKey
from search_spaces.configuration import Configuration

PARTITION = "0" * 12
WORKERS = 2

_STAND_INS = (
    *("optimiser.lr", "optimiser.momentum", "optimiser.weight_decay", "head.dropout", "optimiser.clip"),
    *("head.negative_slope", "loss.gamma"),
)
"""Settings of ours that hold a world's, scaled to 0.5 at most: only that they are drawn alike matters."""
BASE = Configuration.made(
    {
        "data.seed": 0,
        "data.task": "multiclass",
        "data.classes": ("a", "b", "c"),
        "data.content": "0" * 64,
        "network.backbone": "timm:resnet18.tv_in1k",
        "network.weights": "init:0",
        "network.precision": "fp32",
        "image.size": 224,
        "image.store_size": 224,
        "image.interpolation": "bilinear",
        "head.name": "halving",
        "head.non_linearities": 1,
        "head.dropout": 0.5,
        "loss.name": "focal",
        "loss.gamma": 3.0,
        "optimiser.lr": 0.01,
        "optimiser.batch_size": 16,
        "optimiser.clip": 32.0,
    }
)
"""All that the stand-ins matter in."""

Ends = dict[int, dict[int, tuple[int, float]]]
"""Configuration → repeat → (epochs, score)."""


def adaptive(most: int, /, **settings: Any) -> Rule:
    """The whole grid, or with settings an adaptive search, whose budget has so many repeats of each given
    configuration. Its choice has the best mean among those that go on and have the most epochs and repeats."""

    def rule(search: Round, draw: np.random.Generator) -> None:
        places = {f"{place:012x}": place for place in range(search.given)}
        names = tuple(places)
        record = SearchRecord(
            proposer="adaptive", settings=settings, partitions=(PARTITION,), configurations=names, seed=search.seed
        )
        budget = Budget(number=1, allowances=allowances(dict.fromkeys(names, (most, search.epochs))))
        _played(search, record, budget, places, {})

    return rule


def sampled(most: int, /, **settings: Any) -> Rule:
    """A search with a sampler over the whole space, `most` repeats of each: as many configurations as the budget pays
    for."""

    def rule(search: Round, draw: np.random.Generator) -> None:
        drawn = tuple(
            Distribution(
                path=path,
                low=one.low * _scale(one),
                high=one.high * _scale(one),
                log=one.log,
                configurations=(BASE.id,),
            )
            for path, one in zip(_STAND_INS, search.world.dimensions, strict=False)
        )
        record = SearchRecord(
            proposer="adaptive",
            settings=settings,
            partitions=(PARTITION,),
            configurations=(BASE.id,),
            distributions=drawn,
            seed=search.seed,
        )
        count = next(n for n in itertools.count(1) if _cost(n + 1, most, search.epochs, settings) > search.budget)
        each = allowances({BASE.id: (most, search.epochs)})
        _played(search, record, Budget(number=1, allowances=each, suggestions=count), {}, {BASE.id: BASE})

    return rule


def _cost(tried: int, most: int, epochs: int, settings: Mapping[str, Any]) -> int:
    """Epochs that a search takes which tries so many, audit lanes included."""
    rules = Settings(**settings)
    spent, left, learnt, before = 0, tried, min(most, rules.ranked_on), 0
    for share in shares(rules.first, rules.eta) if rules.epochs == "halving" else (1.0,):
        reached = epochs_at(share, epochs, rules.least)
        spent += left * learnt * (reached - before)
        if reached < epochs:
            kept = math.ceil(left / rules.eta)
            spent += min(AUDITED, left - kept) * learnt * (epochs - reached)
            left, before = kept, reached
    if rules.repeats == "screen":
        spent += left * (min(SCREENED_AFTER, most) - learnt) * epochs
        left, learnt = min(left, max(LEAST_KEPT, math.ceil(left / 4))), min(SCREENED_AFTER, most)
    return spent + left * (most - learnt) * epochs


def _played(
    search: Round, record: SearchRecord, budget: Budget, places: dict[str, int], known: dict[str, Configuration]
) -> None:
    """places: of configurations in the round. known: those that samplers make others from."""
    decisions: list[Decision] = []
    results: list[Told] = []
    ends: Ends = {}
    while True:
        waiting = pending(asked_of_lanes(decisions), results)
        view = View(record, budget, decisions, results, waiting, WORKERS, known.__getitem__)
        proposal = Adaptive(record).propose(view)
        if proposal is None:
            return
        for one in proposal.suggested:
            known[one.configuration.id] = one.configuration
            places[one.configuration.id] = search.add(_point(one.configuration, search))
        reason, stopped = proposal.reason, {places[name] for name in proposal.stopped}
        decisions.append(
            Decision(
                number=len(decisions) + 1,
                budget=1,
                reason=reason,
                asks=proposal.asks,
                suggestions=suggestions_of(proposal),
                stacks=(),
            )
        )
        for epochs, lanes in _by_repeat(proposal.asks):
            for lane in lanes:
                place = places[lane.configuration]
                value = search.train(place, lane.repeat, epochs)
                results.append(Told(lane, epochs, "finished", value))
                ends.setdefault(place, {})[lane.repeat] = epochs, value
            search.choose(_chosen(ends, stopped))


def _point(configuration: Configuration, search: Round) -> dict[str, float]:
    """What a suggested configuration stands for in the world."""
    point = {}
    for path, one in zip(_STAND_INS, search.world.dimensions, strict=False):
        value = min(max(configuration.value(path) / _scale(one), one.low), one.high)
        point[one.name] = float(np.rint(value)) if one.whole else value
    return point


def _scale(one: Dimension) -> float:
    return 0.5 / one.high


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
