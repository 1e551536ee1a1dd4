"""What rules of an adaptive search cost in epochs, and how much worse their choice is than the best configuration.

Curves come from a surrogate (`curves.py`). A repeat's score lies away from its configuration's curve by a normal draw
that stays the same over its epochs; who is best is known without it. The product's own proposer says what to train.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from curves import EPOCHS, FOLDER, TASKS, curves
from table import Table, arguments, progress

from orchestrator.proposing.adaptive import Adaptive
from orchestrator.proposing.deciding import pending
from orchestrator.proposing.proposer import View
from orchestrator.store.searches import Budget, Decision, SearchRecord, Told, allowances, asked_of_lanes
from orchestrator.store.segments import LaneKey

CONFIGURATIONS, REPEATS = 30, 10
RACED = 20
"""Repeats that a race may use."""
DEVIATIONS = (0.5, 1.0, 2.0)
"""Of a repeat about its configuration, in points of accuracy."""
LOST = 1.0
"""A regret above it, in points, counts as a wrong choice."""
PARTITION = "0" * 12


class Rule(NamedTuple):
    """settings: of the adaptive proposer. repeats: that the budget allows of each configuration."""

    name: str
    settings: Mapping[str, Any]
    repeats: int = REPEATS


RULES = (
    Rule("whole grid, 10 repeats", {}),
    Rule("whole grid, 3 repeats", {}, 3),
    Rule("halving from 15 %", {"epochs": "halving"}),
    Rule("halving from 30 %", {"epochs": "halving", "first": 0.3}),
    Rule("constant 15 %, best 8", {"epochs": "constant"}),
    Rule("constant 30 %, best 8", {"epochs": "constant", "first": 0.3}),
    Rule("screen", {"repeats": "screen"}),
    Rule("halving from 15 %, screen", {"epochs": "halving", "repeats": "screen"}),
    Rule("race", {"repeats": "race"}, RACED),
    Rule("halving from 15 %, race", {"epochs": "halving", "repeats": "race"}, RACED),
)


class Outcome(NamedTuple):
    """regret: points of accuracy that the choice is behind the best. epochs: of all repeats together."""

    regret: float
    epochs: int


def main() -> None:
    parser = arguments(__doc__ or "", rounds=50)
    parser.add_argument("--tasks", type=lambda text: tuple(text.split(",")), default=TASKS)
    given = parser.parse_args()
    if not FOLDER.exists():
        raise SystemExit(f"{FOLDER}: expected the surrogate, found nothing")
    tasks, rounds = (given.tasks[:2], 3) if given.quick else (given.tasks, given.rounds)
    columns = (
        "rule",
        "deviation of repeats",
        "epochs, share of the grid's",
        "mean regret",
        "largest",
        "regret over 1 %",
    )
    table = Table("Adaptive rules on learning curves of a surrogate", columns)
    table.notes += [
        f"{CONFIGURATIONS} configurations drawn anew in each of {rounds} rounds on each of {len(tasks)} tasks "
        f"({', '.join(tasks)}), {EPOCHS} epochs; regret and deviation in points of validation accuracy.",
        f"Shares of {CONFIGURATIONS} × {REPEATS} × {EPOCHS} epochs, audit lanes included.",
    ]
    for deviation in DEVIATIONS:
        progress(f"deviation {deviation}")
        found: dict[str, list[Outcome]] = {rule.name: [] for rule in RULES}
        for task in tasks:
            for number in range(rounds):
                truth = curves(task, CONFIGURATIONS, number)
                away = np.random.default_rng([number, int(task)]).normal(size=(CONFIGURATIONS, RACED)) * deviation
                for rule in RULES:
                    found[rule.name].append(played(rule, truth, away, number))
        for rule in RULES:
            regrets = np.array([one.regret for one in found[rule.name]])
            spent = np.mean([one.epochs for one in found[rule.name]]) / (CONFIGURATIONS * REPEATS * EPOCHS)
            table.add(
                rule.name,
                deviation,
                float(spent),
                float(regrets.mean()),
                float(regrets.max()),
                float(100 * (regrets > LOST).mean()),
            )
    table.show()
    table.write_json(given.json)


def played(rule: Rule, truth: np.ndarray, away: np.ndarray, seed: int) -> Outcome:
    """A whole search by this rule; truth: [configurations, EPOCHS], away: [configurations, repeats]."""
    names = tuple(f"{place:012x}" for place in range(len(truth)))
    place_of = {name: place for place, name in enumerate(names)}
    search = SearchRecord(
        proposer="adaptive", settings=dict(rule.settings), partitions=(PARTITION,), configurations=names, seed=seed
    )
    budget = Budget(number=1, allowances=allowances(dict.fromkeys(names, (rule.repeats, EPOCHS))))
    decisions: list[Decision] = []
    results: list[Told] = []
    while True:
        waiting = pending(asked_of_lanes(decisions), results)
        proposal = Adaptive(search).propose(View(search, budget, decisions, results, waiting, 2))
        if proposal is None:
            break
        number = len(decisions) + 1
        decisions.append(Decision(number=number, budget=1, reason=proposal.reason, asks=proposal.asks, stacks=()))
        for ask in proposal.asks:
            for lane in ask.lanes():
                place = place_of[lane.configuration]
                value = truth[place, ask.epochs - 1] + away[place, lane.repeat]
                results.append(Told(lane, ask.epochs, "finished", float(value)))
    return Outcome(_regret(results, truth, place_of), sum(asked_of_lanes(decisions).values()))


def _regret(results: list[Told], truth: np.ndarray, place_of: Mapping[str, int]) -> float:
    """Of the best mean among those with the most repeats of all epochs."""
    ends: dict[str, dict[LaneKey, float]] = {}
    for one in results:
        if one.epochs == EPOCHS:
            ends.setdefault(one.lane.configuration, {})[one.lane] = one.value
    most = max(map(len, ends.values()))
    chosen = max(
        (name for name, values in ends.items() if len(values) == most),
        key=lambda name: (np.mean(list(ends[name].values())), -place_of[name]),
    )
    return float(truth[:, -1].max() - truth[place_of[chosen], -1])


if __name__ == "__main__":
    main()
