"""The reference study by halving and screening, on paper: what share of its epochs that is, and what it may lose.

The grids are those of the study's file; how many epochs a search of them asks follows from their sizes, and is what the
product's proposer asks. How good the choice is needs curves, and there are none of the study: those of a surrogate
(`curves.py`, small networks on tables), stretched to its epochs, stand in. Hours are estimates: the share of the epochs
times the hours of the whole grid that `reference_study.py --whole` found on one H200.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from adaptive_rules import adaptive
from curves import FOLDER, TASKS, Floats, Points, curves, drawn
from peers import grid
from round_of_search import Round, Rule, World
from table import Table, arguments, progress

from search_spaces.loader import load_space
from search_spaces.points import points

STUDY = "neuroblastoma"
REPORT_EPOCHS = 936_000
REPEATS = 10
ONE, ALL = "one backbone", "all backbones"
MARGIN = 1.0
"""Behind the best, in points of accuracy: less is as good."""
SECONDS = {"straightforward": 85.1, "extension": 9_392.0, "unfreezing": 283_580.0}
"""Of training each strategy whole on one H200: docs/performance.md, extrapolated from rates."""
RULES: dict[str, dict[str, Any]] = {
    "halving from 15 %, screen": {},
    "the same, ranked on 2": {"ranked_on": 2},
    "halving from 30 %, screen": {"first": 0.3},
}


class Search(NamedTuple):
    """Of one strategy, on one backbone of those that have it or on all at once."""

    strategy: str
    configurations: int
    epochs: int
    grid_epochs: int
    """Of the strategy on all its backbones."""
    extent: str


def main() -> None:
    parser = arguments(__doc__ or "", rounds=5)
    parser.add_argument("--surrogate", type=Path, default=FOLDER, metavar="DIR", help="default: %(default)s")
    parser.add_argument("--deviation", type=float, default=1.0, help="of repeats, in points (default: %(default)s)")
    given = parser.parse_args()
    if not given.surrogate.exists():
        raise SystemExit(f"{given.surrogate}: expected the surrogate, found nothing")
    tasks, rounds = (TASKS[:1], 1) if given.quick else (TASKS, given.rounds)
    columns = (
        *("strategy", "one search of", "configurations", "rule", "epochs, share of the grid's", "hours of an H200"),
        *("within the margin %", "whole grid %"),
    )
    table = Table("The reference study by halving and screening: an estimate", columns)
    table.notes += [
        f"{REPEATS} repeats; {rounds} rounds on each of {len(tasks)} tasks of the surrogate, whose curves stand in for "
        f"the study's; repeats deviate by {given.deviation:g} points. within the margin: the choice is less than "
        f"{MARGIN:g} point behind the best; beside it, of the whole grid.",
        "hours: an estimate: the share times the hours that the whole grid of the strategy on all backbones would "
        "take on one H200, extrapolated from measured rates. Smaller stacks gain less, so heads would take longer.",
    ]
    hours = {(rule, extent): 0.0 for rule in RULES for extent in (ONE, ALL)}
    epochs = dict.fromkeys(hours, 0.0)
    several = list(searches())
    for search in several:
        choices = played(search, [*product(tasks, range(rounds))], given.deviation, given.surrogate)
        whole = float(np.mean([one[0] for one in choices["whole grid"]]))
        for rule in RULES:
            share = float(np.mean([one[1] for one in choices[rule]]))
            spent = share * SECONDS[search.strategy] / 3600
            hours[rule, search.extent] += spent
            epochs[rule, search.extent] += share * search.grid_epochs
            good = float(np.mean([one[0] for one in choices[rule]]))
            count = search.configurations
            table.add(search.strategy, search.extent, count, rule, share, spent, 100 * good, 100 * whole)
        progress(f"{search.strategy}, {search.extent}")
    of_file = sum(search.grid_epochs for search in several if search.extent == ONE)
    for (rule, extent), spent in hours.items():
        scaled = spent * REPORT_EPOCHS / of_file
        table.add("all, as the report counts", extent, None, rule, epochs[rule, extent] / of_file, scaled, None, None)
    table.notes.append(f"The whole grids, as the report counts them: {whole_hours(of_file):.0f} hours.")
    table.show()
    table.write_json(given.json)


def whole_hours(of_file: int) -> float:
    """Of everything that the report counts, as many times the study's file as it has epochs."""
    return sum(SECONDS.values()) / 3600 * REPORT_EPOCHS / of_file


def searches() -> Iterator[Search]:
    """Each strategy on one of its backbones, then on all of them in one search."""
    space = load_space(STUDY)
    epochs_by_strategy: dict[str, dict[str, list[int]]] = {}
    for backbone in (entry.name for entry in space.backbones):
        for point in points(space, backbone, small=False):
            epochs_by_strategy.setdefault(point.strategy, {}).setdefault(backbone, []).append(point.epochs)
    for strategy, epochs_of_each in epochs_by_strategy.items():
        first, *others = epochs_of_each.values()
        if any(sorted(one) != sorted(first) for one in others) or len(set(first)) > 1:
            raise ValueError(f"{strategy}: expected the same grid on every backbone")
        every = len(first) * len(epochs_of_each)
        for count, extent in ((len(first), ONE), (every, ALL)):
            yield Search(strategy, count, first[0], every * REPEATS * first[0], extent)


def played(
    search: Search, rounds: Sequence[tuple[str, int]], deviation: float, folder: Path
) -> dict[str, list[tuple[bool, float]]]:
    """Rule → per round whether its choice is within the margin, and its share of the grid's epochs. rounds: each a task
    and a seed."""
    rules: dict[str, Rule] = {"whole grid": grid(REPEATS)}
    rules |= {name: adaptive(REPEATS, epochs="halving", repeats="screen", **own) for name, own in RULES.items()}
    choices: dict[str, list[tuple[bool, float]]] = {name: [] for name in rules}
    for task, number in rounds:
        away = np.random.default_rng([number, int(task)]).normal(size=(search.configurations, REPEATS)) * deviation
        world = World((), {}, stretched(task, number, search, folder), away, _no_others, deviation)
        for name, rule in rules.items():
            one = Round(world, away.size * search.epochs, number)
            rule(one, np.random.default_rng(number))
            behind = float(world.truth[:, -1].max()) - one.chosen(one.spent)
            choices[name].append((behind < MARGIN, one.spent / one.budget))
    return choices


def stretched(task: str, number: int, search: Search, folder: Path) -> Floats:
    """float64 [configurations, epochs]: curves of the surrogate, its whole training taken for the study's."""
    truth = curves(task, drawn(task, search.configurations, number, folder), folder)
    at = np.arange(1, search.epochs + 1) / search.epochs * truth.shape[1]
    return np.array([np.interp(at, np.arange(1, truth.shape[1] + 1), curve) for curve in truth])


def _no_others(points: Points) -> Floats:
    raise ValueError("a grid has no other configurations")


if __name__ == "__main__":
    main()
