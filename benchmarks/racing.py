"""What a race and a screen of thirty configurations keep, lose and spend, on scores that are made up.

`comparisons.py` says how often the confidence set holds what it promises; this script what that makes of a search. The
functions are the product's. In the third table classifiers are really trained on partitions of the same groups, and a
race goes through the partitions in turn, or stays on one.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from adaptive_rules import adaptive
from comparisons import MODELS, Draw, Floats
from curves import Points
from round_of_search import Round, World
from table import Table, arguments, progress

from orchestrator.statistics.confidence_set import confidence_set
from orchestrator.statistics.looks import LOOKS

CONFIGURATIONS, REPEATS = 30, LOOKS[-1].repeats
FIXED = 10
"""Repeats of everything that a race is held against, and `REPEATS` of everything."""
GROUPS, PARTITIONS = (16, 31, 60), 10
IMAGES = 8
"""Of each group."""
FEATURES, POOL = 10, 30
"""Of each configuration, drawn from so many that are equally telling: so on other groups all are equally good."""
SHIFT, OF_GROUP = 0.25, 0.5
"""How far each feature has the classes from 0, and how groups deviate, in standard deviations of an image."""
SEEDS = 0.1
"""Deviation of repeats on a partition, in deviations between partitions, as measured on `ana_iif_tiles`."""
BETTER = 1.25
"""Times `SHIFT`: of the features of who is ahead, which nobody else has."""
SLOWER = 10
"""Rounds of the other tables for one of the third."""
MANY = 40
"""Partitions of the same groups over which it is seen who is best on them."""


class Case(NamedTuple):
    """The first `ahead` configurations are better by so many standard deviations than the others; without any, all are
    the best."""

    name: str
    model: str = "normal"
    ahead: int = 0
    by: float = 0.0

    def scores(self, draw: Draw, rounds: int) -> Floats:
        """float64 [rounds, configurations, repeats]"""
        scores = MODELS[self.model](draw, (rounds, CONFIGURATIONS, REPEATS))
        scores[:, : self.ahead] += self.by
        return scores

    @property
    def best(self) -> slice:
        return slice(self.ahead or CONFIGURATIONS)


UNEQUAL, ROWS = "normal, standard deviations from 1/3 to 3", "normal, correlated rows"
CASES = (
    Case("all alike"),
    Case("one ahead by 1", ahead=1, by=1.0),
    Case("one ahead by 2", ahead=1, by=2.0),
    Case("three ahead by 1", ahead=3, by=1.0),
    Case("three ahead by 2", ahead=3, by=2.0),
    Case("all alike, deviations from 1/3 to 3", UNEQUAL),
    Case("all alike, correlated rows", ROWS),
    Case("one ahead by 1, correlated rows", ROWS, 1, 1.0),
    Case("all exponential, bad tails", "all exponential, bad tails"),
    Case(
        "bad tails, the first of a tenth of their spread",
        "rivals exponential, bad tails; best of a tenth of their spread",
        1,
    ),
)


class Raced(NamedTuple):
    """Arrays are [configurations]: whether it was excluded, and the blocks that it had."""

    excluded: np.ndarray
    blocks: np.ndarray


def main() -> None:
    parser = arguments(__doc__ or "", rounds=4000)
    parser.add_argument("--tables", default="race,screen,partitions", help="which of them (default: %(default)s)")
    given = parser.parse_args()
    rounds = 2 if given.quick else given.rounds
    for name, made in (("race", races), ("screen", screens), ("partitions", over_partitions)):
        if name in given.tables.split(","):
            table = made(rounds)
            table.show()
            table.write_json(given.json and given.json.with_stem(f"{given.json.stem}_{name}"))


def raced(scores: Floats) -> Raced:
    """A whole race; scores: [configurations, repeats]. It ends where one configuration is left."""
    best_set = confidence_set(scores, True)
    excluded = np.ones(len(scores), dtype=bool)
    excluded[[*best_set.members, *best_set.uncompared]] = False
    at = best_set.at.copy()
    if excluded.sum() == len(scores) - 1:
        at[~excluded] = at[excluded].max()
    return Raced(excluded, at)


def races(rounds: int) -> Table:
    table = Table(
        f"A race of {CONFIGURATIONS} configurations",
        (
            *("case", "a true best excluded %", "size of the set", "blocks spent"),
            *(f"of {FIXED} everywhere", f"of {REPEATS} everywhere"),
            *(f"wrong choice, {name} %" for name in ("race", f"fixed {FIXED}", f"fixed {REPEATS}")),
        ),
        notes=[
            f"{rounds:,} rounds a case; ± is the Monte Carlo standard error. Looks at "
            f"{', '.join(str(look.repeats) for look in LOOKS)} blocks. Where all are alike each is a true best.",
            "wrong choice: the best mean at the end, among those left, is of none that is ahead. Of tails to one side "
            "nothing is promised; the last case asks for the first one alone, where others are bad now and then.",
        ],
    )
    for number, case in enumerate(CASES):
        scores = case.scores(np.random.default_rng([1, number]), rounds)
        races_of_rounds = [raced(one) for one in scores]
        excluded = np.array([one.excluded for one in races_of_rounds])
        means = [
            np.where(excluded, -np.inf, scores.mean(axis=2)),
            scores[:, :, :FIXED].mean(axis=2),
            scores.mean(axis=2),
        ]
        chosen = [100.0 * (one.argmax(axis=1) >= case.best.stop) for one in means]
        table.add(
            case.name,
            _mean(100.0 * excluded[:, case.best].mean(axis=1)),
            _mean((~excluded).sum(axis=1)),
            _mean(np.array([one.blocks.sum() for one in races_of_rounds]), 0),
            CONFIGURATIONS * FIXED,
            CONFIGURATIONS * REPEATS,
            *(_mean(one) if case.by else None for one in chosen),
        )
        progress(case.name)
    return table


def screens(rounds: int) -> Table:
    table = Table(
        f"A screen of {CONFIGURATIONS} configurations, {REPEATS} repeats of those that it keeps",
        (
            *("case", "a true best lost %", "kept", "blocks spent"),
            *(f"wrong choice, {name} %" for name in ("screen", f"fixed {FIXED}", f"fixed {REPEATS}")),
        ),
        notes=[f"{rounds:,} rounds a case; ± is the Monte Carlo standard error. No error rate is promised."],
    )
    for number, case in enumerate(CASES):
        if not case.by:
            continue
        scores = case.scores(np.random.default_rng([2, number]), rounds)
        played = [as_played(one, repeats="screen") for one in scores]
        whole = np.array([[one.repeats(place) == REPEATS for place in range(CONFIGURATIONS)] for one in played])
        chosen = [np.array([one.choices[-1][1] for one in played])]
        chosen += [scores[:, :, :count].mean(axis=2).argmax(axis=1) for count in (FIXED, REPEATS)]
        table.add(
            case.name,
            _mean(100.0 * (~whole[:, : case.ahead]).mean(axis=1)),
            int(whole[0].sum()),
            _mean(np.array([one.spent for one in played]), 0),
            *(_mean(100.0 * (one >= case.ahead)) for one in chosen),
        )
        progress(case.name)
    return table


def as_played(scores: Floats, **settings: Any) -> Round:
    """By the product's proposer with these settings, each repeat of one epoch; scores: [configurations, repeats]."""
    world = World((), {}, np.zeros((len(scores), 1)), scores, _no_others, 1.0)
    search = Round(world, scores.size, 0)
    adaptive(scores.shape[1], **settings)(search, np.random.default_rng(0))
    return search


def over_partitions(rounds: int) -> Table:
    rounds = max(rounds // SLOWER, 2)
    table = Table(
        f"A race of {CONFIGURATIONS} configurations over partitions of the same groups",
        (
            *("groups", "blocks", "case", "best of all excluded %", "best on these groups excluded %"),
            *("size of the set", "blocks spent", "deviation of partitions"),
        ),
        notes=[
            f"{rounds:,} data sets a row; ± is the Monte Carlo standard error. {CONFIGURATIONS} nearest-mean "
            f"classifiers of {FEATURES} features out of {POOL}, trained on partitions of the groups, a fifth of these "
            f"valid, with {IMAGES} images each; repeats deviate by {SEEDS:g} of what partitions do. one partition: all "
            "blocks are on it.",
            f"best of all: on other groups; where all are alike each is. on these groups: over {MANY} partitions of "
            "them. deviation of partitions: of what configurations differ by, in accuracy.",
        ],
    )
    for groups in GROUPS:
        for ahead in (0, 1):
            draw = np.random.default_rng([3, groups, ahead])
            by_count: dict[int, list[tuple[Raced, Floats]]] = {1: [], PARTITIONS: [], REPEATS: []}
            spreads = []
            for _ in range(rounds):
                scores = trained(draw, groups, MANY, ahead)
                spreads.append(_interaction(scores))
                for partitions, several in by_count.items():
                    blocks = scores[:, np.arange(REPEATS) % partitions]
                    noise = SEEDS * spreads[-1] * draw.normal(size=blocks.shape)
                    several.append((raced(blocks + noise), scores.mean(axis=1)))
            for partitions, several in by_count.items():
                excluded = np.array([one.excluded for one, _ in several])
                here = np.array([means.argmax() for _, means in several])
                table.add(
                    groups,
                    "one partition" if partitions == 1 else f"{partitions} partitions in turn",
                    "one ahead" if ahead else "all alike",
                    _mean(100.0 * excluded[:, : ahead or CONFIGURATIONS].mean(axis=1)),
                    _mean(100.0 * excluded[np.arange(rounds), here]),
                    _mean((~excluded).sum(axis=1)),
                    _mean(np.array([one.blocks.sum() for one, _ in several]), 0),
                    float(np.mean(spreads)),
                )
            progress(f"{groups} groups, {ahead} ahead")
    return table


def trained(draw: Draw, groups: int, partitions: int, ahead: int) -> Floats:
    """float64 [configurations, partitions]: accuracy of each on the valid groups of each partition. The first `ahead`
    configurations have features of their own, which tell the classes apart better."""
    features = POOL + FEATURES * ahead
    shift, uses = np.full(features, SHIFT), np.zeros((features, CONFIGURATIONS))
    shift[POOL:] *= BETTER
    for place in range(CONFIGURATIONS):
        own = POOL + FEATURES * place + np.arange(FEATURES)
        uses[own if place < ahead else draw.permutation(POOL)[:FEATURES], place] = 1.0
    side = np.repeat(np.where(np.arange(groups) % 2, 1.0, -1.0), IMAGES)
    group = np.repeat(np.arange(groups), IMAGES)
    images = side[:, None] * shift + draw.normal(size=(len(side), features))
    images += OF_GROUP * draw.normal(size=(groups, features))[group]
    accuracies = np.empty((CONFIGURATIONS, partitions))
    for place in range(partitions):
        valid = np.zeros(groups, dtype=bool)
        for first in (0, 1):
            several = draw.permutation(np.arange(first, groups, 2))
            valid[several[: max(1, round(groups / 10))]] = True
        scored = valid[group]
        low, high = (images[~scored & (side == each)].mean(axis=0) for each in (-1, 1))
        away = ((images[scored] - (low + high) / 2) * (high - low)) @ uses
        accuracies[:, place] = (away * side[scored, None] > 0).mean(axis=0)
    return accuracies


def _interaction(scores: Floats) -> float:
    """Deviation between partitions of what configurations differ by; scores: [configurations, partitions]."""
    left = scores - scores.mean(axis=0) - scores.mean(axis=1, keepdims=True) + scores.mean()
    return float(left.std())


def _no_others(points: Points) -> Floats:
    raise ValueError("a race draws no other configurations")


def _mean(values: np.ndarray, digits: int = 1) -> str:
    return f"{values.mean():.{digits}f} ± {values.std() / len(values) ** 0.5:.{digits}f}"


if __name__ == "__main__":
    main()
