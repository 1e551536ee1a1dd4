"""What rules of an adaptive search cost in epochs, and how much worse their choice is than the best configuration.

Curves come from a surrogate (`curves.py`). A repeat's score lies away from its configuration's curve by a normal draw
that stays the same over its epochs; who is best is known without it. The product's own proposer says what to train; in
the second table Optuna and Ray Tune (`peers.py`) do, with as many epochs to spend.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from adaptive_rules import adaptive, sampled
from curves import EPOCHS, FOLDER, TASKS, curves, dimensions, drawn
from peers import grid, optuna_tpe, optuna_wilcoxon, random, ray_asha
from round_of_search import Round, Rule, World
from table import Table, arguments, progress

from orchestrator.statistics.divergence import rate_interval

CONFIGURATIONS, REPEATS = 30, 10
RACED = 20
"""Repeats that a race may use."""
GRID = CONFIGURATIONS * REPEATS * EPOCHS
DEVIATIONS = (0.5, 1.0, 2.0)
"""Of a repeat about its configuration, in points of accuracy."""
LOST = 1.0
"""A regret above it, in points, counts as a wrong choice."""
QUARTERS = (0.25, 0.5, 0.75, 1.0)
GIVEN, SPACE = "the 30", "the space"


class Named(NamedTuple):
    """A rule that takes what is given, or draws from the space."""

    name: str
    rule: Rule
    among: str = GIVEN


RULES = (
    Named("whole grid, 10 repeats", adaptive(REPEATS)),
    Named("whole grid, 3 repeats", adaptive(3)),
    Named("halving from 15 %", adaptive(REPEATS, epochs="halving")),
    Named("halving from 30 %", adaptive(REPEATS, epochs="halving", first=0.3)),
    Named("constant 15 %, best 8", adaptive(REPEATS, epochs="constant")),
    Named("constant 30 %, best 8", adaptive(REPEATS, epochs="constant", first=0.3)),
    Named("screen", adaptive(REPEATS, repeats="screen")),
    Named("halving from 15 %, screen", adaptive(REPEATS, epochs="halving", repeats="screen")),
    Named("race", adaptive(RACED, repeats="race")),
    Named("halving from 15 %, race", adaptive(RACED, epochs="halving", repeats="race")),
)
OURS = (
    Named("orch: halving from 15 %, screen", adaptive(REPEATS, epochs="halving", repeats="screen")),
    Named("orch: halving from 15 %, race", adaptive(RACED, epochs="halving", repeats="race")),
    Named("orch: halving from 30 %, race", adaptive(RACED, epochs="halving", first=0.3, repeats="race")),
    Named("orch: race", adaptive(RACED, repeats="race")),
    Named("orch: TPE, 3 repeats", sampled(3, sampler="tpe"), SPACE),
    Named("orch: TPE, screen", sampled(REPEATS, sampler="tpe", repeats="screen"), SPACE),
    Named("orch: TPE, halving from 15 %, 3 repeats", sampled(3, sampler="tpe", epochs="halving"), SPACE),
    Named("orch: TPE, halving from 30 %, 3 repeats", sampled(3, sampler="tpe", epochs="halving", first=0.3), SPACE),
    Named(
        "orch: TPE, halving from 15 %, screen",
        sampled(REPEATS, sampler="tpe", epochs="halving", repeats="screen"),
        SPACE,
    ),
)
PEERS = (
    Named("whole grid, repeat by repeat", grid(REPEATS)),
    Named("Optuna Hyperband, 10 repeats at once", optuna_tpe(10, given=True)),
    Named("Optuna Wilcoxon, 10 repeats", optuna_wilcoxon(10, given=True)),
    Named("Ray ASHA, single repeats", ray_asha(1, given=True)),
    Named("Ray ASHA, 10 repeats at once", ray_asha(10, given=True)),
    Named("Ray ASHA from 15 %, η = 2, 10 at once", ray_asha(10, given=True, least=8, eta=2)),
    Named("random, single repeats", random(1), SPACE),
    Named("random, 3 repeats", random(3), SPACE),
    Named("Optuna TPE, 3 repeats", optuna_tpe(3, hyperband=False), SPACE),
    Named("Optuna TPE + Hyperband, single repeats", optuna_tpe(1), SPACE),
    Named("Optuna TPE + Hyperband, 3 at once", optuna_tpe(3), SPACE),
    Named("Optuna TPE + Wilcoxon, 10 repeats", optuna_wilcoxon(10), SPACE),
    Named("Ray ASHA, single repeats", ray_asha(1), SPACE),
    Named("Ray ASHA + OptunaSearch, 3 at once", ray_asha(3, sampler="tpe"), SPACE),
    Named("Ray ASHA from 15 %, η = 2 + OptunaSearch, 3 at once", ray_asha(3, sampler="tpe", least=8, eta=2), SPACE),
)


class Game(NamedTuple):
    """One round of a task: its number, which is the seed of its rules too, and what they all have in common."""

    task: str
    number: int
    world: World


Worlds = Mapping[float, Sequence[Game]]
"""Deviation of repeats → rounds."""


class Outcome(NamedTuple):
    """In points of accuracy. behind: the best that this rule had tried. spent: share of GRID. finals: of the choice
    at each quarter. best: that it tried."""

    behind: float
    spent: float
    tried: int
    finals: tuple[float, ...]
    best: float


class Kept:
    """Outcomes of rounds in a folder, a file of lines for each rule, so that a long run goes on where it stopped, and
    several processes may each play other rules. Without a folder nothing is kept."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._known: dict[Path, dict[str, Outcome]] = {}

    def outcome(self, named: Named, game: Game, budget: int) -> Outcome:
        if self._folder is None:
            return played(named.rule, game, budget)
        file = self._folder / f"{re.sub(r'[^a-z0-9]+', '_', f'{named.name} {named.among}'.lower())}.jsonl"
        known = self._known.setdefault(file, dict(_lines(file)))
        name = f"{game.task} {game.number} {game.world.deviation} {budget}"
        if name not in known:
            known[name] = played(named.rule, game, budget)
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("a") as out:
                out.write("\n" + json.dumps([name, known[name]]))
        return known[name]


def _lines(file: Path) -> Iterator[tuple[str, Outcome]]:
    """A line that was cut off is left out."""
    for line in file.read_text().splitlines() if file.exists() else ():
        with suppress(json.JSONDecodeError):
            name, (behind, spent, tried, finals, best) = json.loads(line)
            yield name, Outcome(behind, spent, tried, tuple(finals), best)


def main() -> None:
    parser = arguments(__doc__ or "", rounds=50)
    parser.add_argument("--tasks", type=lambda text: tuple(text.split(",")), default=TASKS)
    parser.add_argument("--tables", default="rules,peers", help="which of them (default: %(default)s)")
    parser.add_argument(
        "--budget", type=float, default=1.0, help="of the second, in whole grids (default: %(default)s)"
    )
    parser.add_argument("--rules", default="", metavar="TEXT;TEXT", help="of the second: parts of their names")
    parser.add_argument(
        "--against", default="", metavar="TEXT", help="also print how far each rule of the second is from that one"
    )
    parser.add_argument(
        "--keep", type=Path, metavar="DIR", help="of the second: keep outcomes there, and read what is there already"
    )
    parser.add_argument("--deviations", type=_numbers, default=DEVIATIONS, help="of repeats, in points")
    parser.add_argument("--surrogate", type=Path, default=FOLDER, metavar="DIR", help="default: %(default)s")
    given = parser.parse_args()
    if not given.surrogate.exists():
        raise SystemExit(f"{given.surrogate}: expected the surrogate, found nothing")
    tasks, rounds = (given.tasks[:1], 1) if given.quick else (given.tasks, given.rounds)
    about = (
        f"{CONFIGURATIONS} configurations drawn anew in each of {rounds} rounds on each of {len(tasks)} tasks "
        f"({', '.join(tasks)}), {EPOCHS} epochs; regret and deviation in points of validation accuracy."
    )
    budget = round((0.05 if given.quick else given.budget) * GRID)
    tables = given.tables.split(",")
    rounds_of = {each: list(games(tasks, rounds, each, given.surrogate)) for each in given.deviations}
    made: dict[str, Table] = {}
    if "rules" in tables:
        made["rules"] = costs(rounds_of)
    if "peers" in tables:
        rules = [one for one in (*OURS, *PEERS) if any(part in one.name for part in given.rules.split(";"))]
        outcomes = all_played(rules, rounds_of, budget, Kept(given.keep))
        made["peers"] = equal_spending(rules, outcomes, budget)
        if given.against:
            made["against"] = round_by_round(rules, outcomes, given.against)
    for name, table in made.items():
        table.notes.insert(0, about)
        table.show()
        table.write_json(given.json and given.json.with_stem(f"{given.json.stem}_{name}"))


def costs(every: Worlds) -> Table:
    columns = (
        "rule",
        "deviation of repeats",
        "epochs, share of the grid's",
        "mean regret",
        "largest",
        "regret over 1 %",
    )
    table = Table("Adaptive rules on learning curves of a surrogate", columns)
    table.notes.append(f"Shares of {CONFIGURATIONS} × {REPEATS} × {EPOCHS} epochs, audit lanes included.")
    for deviation, several in every.items():
        progress(f"deviation {deviation}")
        for named in RULES:
            outcomes = [played(named.rule, game, 2 * GRID) for game in several]
            regrets = np.array([one.behind for one in outcomes])
            spent = float(np.mean([one.spent for one in outcomes]))
            lost = float(100 * (regrets > LOST).mean())
            table.add(named.name, deviation, spent, float(regrets.mean()), float(regrets.max()), lost)
    return table


Outcomes = Mapping[float, Sequence[Sequence[Outcome]]]
"""Deviation of repeats → rounds → outcomes of the rules."""


def all_played(rules: Sequence[Named], every: Worlds, budget: int, kept: Kept) -> Outcomes:
    outcomes: dict[float, list[list[Outcome]]] = {}
    for deviation, several in every.items():
        for number, game in enumerate(several, 1):
            outcomes.setdefault(deviation, []).append([kept.outcome(named, game, budget) for named in rules])
            progress(f"deviation {deviation}, round {number} of {len(several)}")
    return outcomes


def equal_spending(rules: Sequence[Named], outcomes: Outcomes, budget: int) -> Table:
    columns = (
        *("rule", "among", "deviation of repeats", "spent", "tried"),
        *(f"regret at {number}/4" for number in range(1, 5)),
        *(f"over {LOST:g} point %", "wrong choices %"),
    )
    table = Table("At equal spending: rules of other tools", columns)
    table.notes += [
        f"Every rule may spend {budget:,} epochs, {budget / GRID:.0%} of {CONFIGURATIONS} × {REPEATS} × {EPOCHS}; "
        "spent: its share of the latter, whole searches that need more included. tried: configurations. Regret: final "
        "score, without noise, of what would be chosen at each quarter of the budget, behind the best that any rule of "
        "the round had tried.",
        f"over {LOST:g} point: regret at the end. wrong choices: more than {LOST:g} point behind the best that the "
        "rule itself had tried. ± is 1.96 standard errors over rounds; of shares the exact 95 % interval.",
        "single repeats: a trial is one repeat. at once: a trial trains so many and reports their mean.",
    ]
    for deviation, rounds in outcomes.items():
        for named, of_rule, regrets in zip(rules, zip(*rounds, strict=True), _regrets(rounds), strict=True):
            table.add(
                *(named.name, named.among, deviation),
                float(np.mean([one.spent for one in of_rule])),
                float(np.mean([one.tried for one in of_rule])),
                *map(_with_band, regrets.T),
                _share(regrets[:, -1] > LOST),
                _share(np.array([one.behind > LOST for one in of_rule])),
            )
    return table


def round_by_round(rules: Sequence[Named], outcomes: Outcomes, against: str) -> Table:
    """against: part of the name of the rule that all others are compared with."""
    place = next((place for place, one in enumerate(rules) if against in one.name), None)
    if place is None:
        raise SystemExit(f'--against: expected part of the name of a rule that is played, found "{against}"')
    columns = ("rule", "deviation of repeats", *(f"at {number}/4" for number in range(1, 5)), "its 4/4 at half")
    table = Table(f"Round by round: regret less that of {rules[place].name}", columns)
    table.notes.append(
        "Below 0 a rule is ahead. ± is 1.96 standard errors over rounds. its 4/4 at half: regret of the rule at 2/4 "
        "less that of the other at 4/4, which had spent twice as much."
    )
    for deviation, rounds in outcomes.items():
        regrets = _regrets(rounds)
        for named, own in zip(rules, regrets, strict=True):
            if named is not rules[place]:
                twice = own[:, 1] - regrets[place][:, 3]
                table.add(named.name, deviation, *map(_with_band, (own - regrets[place]).T), _with_band(twice))
    return table


def _regrets(rounds: Sequence[Sequence[Outcome]]) -> np.ndarray:
    """[rules, rounds, quarters] behind the best that any rule of the round had tried."""
    best = np.array([max(one.best for one in of_round) for of_round in rounds])
    finals = np.array([[one.finals for one in of_round] for of_round in rounds])
    return np.asarray(best[:, None, None] - finals).transpose(1, 0, 2)


def games(tasks: Sequence[str], rounds: int, deviation: float, folder: Path) -> Iterator[Game]:
    for task in tasks:
        answer = partial(curves, task, folder=folder)
        for number in range(rounds):
            points = drawn(task, CONFIGURATIONS, number, folder)
            away = np.random.default_rng([number, int(task)]).normal(size=(CONFIGURATIONS, RACED)) * deviation
            yield Game(task, number, World(dimensions(folder), points, answer(points), away, answer, deviation))


def played(rule: Rule, game: Game, budget: int) -> Outcome:
    search = Round(game.world, budget, game.number)
    rule(search, np.random.default_rng(game.number))
    finals = tuple(search.chosen(quarter * budget) for quarter in QUARTERS)
    return Outcome(search.best - finals[-1], search.spent / GRID, search.tried, finals, search.best)


def _numbers(text: str) -> tuple[float, ...]:
    return tuple(map(float, text.split(",")))


def _with_band(values: np.ndarray) -> str:
    return f"{values.mean():.2f} ± {1.96 * values.std() / len(values) ** 0.5:.2f}"


def _share(happened: np.ndarray) -> str:
    """In per cent, with its exact 95 % interval."""
    low, high = rate_interval(int(happened.sum()), len(happened))
    return f"{100 * happened.mean():.0f} ({100 * low:.0f}–{100 * high:.0f})"


if __name__ == "__main__":
    main()
