"""Rules of a search on a grid that was really trained, repeat by repeat: judged by repeats that no rule saw.

A study on disk, made by `orch search` with a whole grid of many repeats on one partition, holds the curve of every
repeat. In each round its repeats are drawn anew: into those that rules may train, in an order of their own, and as many
fresh ones that judge. What a rule is told after some epochs is what the product tells then: selection's value at the
epoch selected among them; a repeat that diverged counts with epoch 0.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from adaptive_rules import adaptive
from curves import Floats
from peers import optuna_tpe, optuna_wilcoxon, ray_asha
from round_of_search import Round, Rule, World
from table import Table, arguments, progress

from orchestrator.results.histories import list_finals
from orchestrator.statistics.divergence import rate_interval
from orchestrator.store.schema import FinalRecord, RepeatState
from orchestrator.store.storage import LocalStorage
from search_spaces.stored import read_configuration
from trainables.learning.metrics import selection_scores

SEEN = 20
"""Repeats that a rule may train, what a race uses at most."""
REPEATS = 10
LOST = 1.0
"""Points: a choice that is further behind the best is a wrong one."""
RULES: dict[str, Rule] = {
    "whole grid, 10 repeats": adaptive(REPEATS),
    "whole grid, 3 repeats": adaptive(3),
    "whole grid, 1 repeat": adaptive(1),
    "orch: screen": adaptive(REPEATS, repeats="screen"),
    "orch: race": adaptive(SEEN, repeats="race"),
    "orch: halving from 15 %, screen": adaptive(REPEATS, epochs="halving", repeats="screen"),
    "orch: halving from 15 %, race": adaptive(SEEN, epochs="halving", repeats="race"),
    "orch: halving from 30 %, screen": adaptive(REPEATS, epochs="halving", first=0.3, repeats="screen"),
    "orch: constant 15 %, best 8": adaptive(REPEATS, epochs="constant"),
    "Optuna Hyperband, 10 repeats at once": optuna_tpe(10, given=True),
    "Optuna Wilcoxon, 10 repeats": optuna_wilcoxon(10, given=True),
    "Ray ASHA, single repeats": ray_asha(1, given=True),
    "Ray ASHA, 10 repeats at once": ray_asha(10, given=True),
    "Ray ASHA from 15 %, η = 2, 10 at once": ray_asha(10, given=True, least=6, eta=2),
}
COLUMNS = ("rule", "spent", "regret", f"over {LOST:g} point %", "90 % of regrets below")


class Recorded(Round):
    """What one rule does with repeats that were trained. seen: float64 [configurations, repeats, epochs]."""

    def __init__(self, world: World, seen: Floats, seed: int) -> None:
        super().__init__(world, budget=seen.size, seed=seed)
        self._seen = seen

    def train(self, configuration: int, repeat: int, epochs: int) -> float:
        super().train(configuration, repeat, epochs)
        return float(self._seen[configuration, repeat, epochs - 1])


class Outcome(NamedTuple):
    """behind: the best of all by the fresh repeats, in points. spent: epochs, share of ten repeats of everything."""

    behind: float
    spent: float


def main() -> None:
    parser = arguments(__doc__ or "", rounds=100)
    parser.add_argument("studies", nargs="+", type=Path, metavar="STUDY", help="folders of studies")
    given = parser.parse_args()
    for folder in given.studies:
        table = judged(folder.name, recorded(folder), 2 if given.quick else given.rounds)
        table.show()
        table.write_json(given.json and given.json.with_stem(f"{given.json.stem}_{folder.name}"))


def judged(name: str, values: Floats, rounds: int, rules: dict[str, Rule] = RULES) -> Table:
    """values: float64 [configurations, repeats, epochs], larger is better, in points."""
    count, repeats, epochs = values.shape
    if repeats < 2 * SEEN:
        raise SystemExit(f"{name}: expected {2 * SEEN} repeats of each configuration, found {repeats}")
    table = Table(f"Rules on {name}, judged by fresh repeats", COLUMNS)
    last = values[:, :, -1]
    means, deviation = last.mean(axis=1), float(np.median(last.std(axis=1, ddof=1)))
    table.notes += [
        f"{count} configurations, {rounds} rounds of {SEEN} repeats to train and {repeats - SEEN} that judge, {epochs} "
        "epochs; points of the metric that selects. Regret: how far the choice is behind the configuration that is "
        f"best by the fresh repeats. spent: share of what {REPEATS} repeats of every configuration take. ± is 1.96 "
        "standard errors over rounds, which share their repeats; shares have the exact 95 % interval.",
        f"Repeats deviate by {deviation:.2f} points (median over configurations); "
        f"configurations within a point of the best over all repeats: {int((means > means.max() - LOST).sum())}.",
    ]
    for place, (rule_name, rule) in enumerate(rules.items()):
        outcomes = [played(rule, values, number) for number in range(rounds)]
        progress(f"{name}: rule {place + 1} of {len(rules)}")
        regrets = np.array([one.behind for one in outcomes])
        lost = regrets > LOST
        low, high = rate_interval(int(lost.sum()), rounds)
        band = 1.96 * regrets.std() / rounds**0.5
        share = f"{100 * lost.mean():.0f} ({100 * low:.0f}–{100 * high:.0f})"
        spent = float(np.mean([one.spent for one in outcomes]))
        table.add(rule_name, spent, f"{regrets.mean():.2f} ± {band:.2f}", share, float(np.quantile(regrets, 0.9)))
    return table


def played(rule: Rule, values: Floats, number: int) -> Outcome:
    """One round: its repeats and the order of configurations follow from its number."""
    draw = np.random.default_rng([number, 7])
    order, lanes = draw.permutation(len(values)), draw.permutation(values.shape[1])
    seen, fresh = values[order][:, lanes[:SEEN]], values[order][:, lanes[SEEN:]]
    truth = fresh.mean(axis=1)
    world = World((), {}, truth, np.zeros((len(values), SEEN)), lambda points: truth[:0], 0.0)
    search = Recorded(world, seen, number)
    rule(search, np.random.default_rng(number))
    worth = search.chosen(float("inf"))
    return Outcome(float(truth[:, -1].max()) - worth, search.spent / (len(values) * REPEATS * values.shape[2]))


def recorded(folder: Path) -> Floats:
    """float64 [configurations, repeats, epochs] in points, of the repeats that all have."""
    storage = LocalStorage(folder)
    curves: dict[str, dict[int, Floats]] = {}
    for final in list_finals(storage):
        record = FinalRecord.from_bytes(storage.read(final.path), final.path)
        c = read_configuration(storage, final.configuration)
        scores = selection_scores(c.selection.metric, record.history, c.selects_by_valid_alone)
        if record.state is RepeatState.DIVERGED:
            scores = np.full(final.epochs + 1, scores[0])
        curves.setdefault(final.configuration, {})[final.repeat] = 100 * np.maximum.accumulate(scores)[1:]
    if not curves:
        raise SystemExit(f"{folder}: expected a study with results, found none")
    common = sorted(set.intersection(*(set(own) for own in curves.values())))
    return np.array([[own[repeat] for repeat in common] for _, own in sorted(curves.items())])


if __name__ == "__main__":
    main()
