"""How often `orch mistakes` names a slice that is no worse, and finds one that is; and how many wrong labels it finds.

Slices: groups of one class with effects of their own on the logit scale, 5 repeats, four sites of whole groups and
quarters of three numbers that vary between and within groups; then the same with a quarter of the groups at a site
whose odds of an error are higher. Labels: networks that see the real class of an image with some accuracy, of which
a share has another label than that.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, softmax
from table import Table, arguments, progress

from orchestrator.mistakes.properties import quarters
from orchestrator.mistakes.slices import LEVEL, Property, Slice, slices
from orchestrator.mistakes.suspects import confident_joint

REPEATS = 5
ODDS = (3, 7)
BAD = 2
"""The site that is worse."""


@dataclass(frozen=True)
class Kind:
    """groups of some images each (half to twice as many), dealt to the classes; error: of the class in the middle, the
    easiest has 0.3 and the hardest 1.7 times as much. spread: standard deviation of groups on the logit scale."""

    groups: int
    images: int
    classes: int
    error: float
    spread: float


KINDS = (
    Kind(8, 20, 2, 0.1, 1.0),
    Kind(15, 10, 4, 0.3, 1.0),
    Kind(25, 20, 8, 0.3, 2.0),
    Kind(40, 10, 2, 0.05, 1.0),
    Kind(40, 10, 8, 0.2, 1.0),
    Kind(100, 5, 3, 0.1, 1.0),
    Kind(300, 1, 2, 0.1, 0.5),
)


def drawn(kind: Kind, seed: int, odds: float = 1.0) -> list[Slice]:
    """The slices of one made-up study. odds: of an error at one site, times those elsewhere."""
    draw = np.random.default_rng([seed, kind.groups, kind.classes])
    sizes = draw.integers(max(1, kind.images // 2), max(2, 2 * kind.images), kind.groups)
    group = np.repeat(np.arange(kind.groups), sizes)
    truth = draw.permutation(np.arange(kind.groups) % kind.classes)[group]
    hard = kind.error * (0.3 + 1.4 * truth / max(1, kind.classes - 1))
    site = draw.permutation(np.arange(kind.groups) % 4)[group]
    logit = np.log(hard / (1 - hard)) + kind.spread * draw.normal(size=kind.groups)[group]
    logit += 0.5 * draw.normal(size=len(group)) + np.log(odds) * (site == BAD)
    properties = [Property("site", tuple("ABCD"), site)]
    for name in ("size", "brightness", "sharpness"):
        values = draw.normal(size=kind.groups)[group] + draw.normal(size=len(group))
        properties += quarters(name, values, lambda value: f"{value:.3f}")
    error = draw.binomial(REPEATS, expit(logit)) / REPEATS
    return slices(error, truth, group, properties, seed)


def slice_table(kinds: tuple[Kind, ...], rounds: int) -> Table:
    table = Table(
        "Slices that are called worse than chance explains, at 5 % for all slices of a study together",
        (
            *("groups", "images of each", "classes", "error", "spread of groups"),
            *("p ≤ 0.05, % of slices", "some slice named, % of studies"),
            *(f"odds × {odds}: found, %" for odds in ODDS),
        ),
        notes=[f"{rounds} studies a cell, {REPEATS} repeats; 16 slices; those of at least 5 groups are tested."],
    )
    for kind in kinds:
        null = [drawn(kind, seed) for seed in range(rounds)]
        p = np.array([one.p for study in null for one in study if one.p is not None])
        named = np.mean([any(one.is_worse for one in study) for study in null])
        hits = [
            np.mean([_finds(drawn(kind, rounds + seed, odds)) for seed in range(rounds)]) if len(p) else 0.0
            for odds in ODDS
        ]
        shares = [float(100 * value) for value in ((p <= LEVEL).mean(), named, *hits)]
        table.add(kind.groups, kind.images, kind.classes, kind.error, kind.spread, *shares)
        progress(f"{kind}")
    return table


def _finds(tested: list[Slice]) -> bool:
    return any(one.is_worse and (one.name, one.value) == ("site", "ABCD"[BAD]) for one in tested)


def label_table(rounds: int) -> Table:
    table = Table(
        "Confident learning: 1,000 images, 8 classes, 5 % of labels changed at random",
        ("accuracy of the networks, %", "suspected", "of them changed, %", "of the changed found, %",
         "of the first 50 changed, %"),
        notes=[f"Means of {rounds} sets; accuracy is against the real classes."],
    )  # fmt: skip
    for signal in (6.0, 4.0, 3.0, 2.0, 1.0):
        rows = []
        for seed in range(rounds):
            draw = np.random.default_rng([seed, int(10 * signal)])
            real = draw.permutation(np.arange(1000) % 8)
            wrong = draw.choice(1000, 50, replace=False)
            label = real.copy()
            label[wrong] = (real[wrong] + draw.integers(1, 8, 50)) % 8
            probability = softmax(signal * np.eye(8)[real] + 1.5 * draw.normal(size=(1000, 8)), axis=1)
            suspected = confident_joint(probability, label).suspected
            hit = np.isin(suspected, wrong)
            accuracy = (probability.argmax(axis=1) == real).mean()
            rows.append((accuracy, len(suspected), hit.mean() if len(hit) else 0.0, hit.sum() / 50, hit[:50].mean()))
        accuracy, count, precision, recall, first = np.mean(rows, axis=0)
        shares = [float(100 * value) for value in (precision, recall, first)]
        table.add(float(100 * accuracy), round(float(count)), *shares)
        progress(f"signal {signal}")
    return table


def main() -> None:
    options = arguments(__doc__ or "", rounds=400).parse_args()
    rounds, kinds = (min(options.rounds, 5), KINDS[:2]) if options.quick else (options.rounds, KINDS)
    table = slice_table(kinds, rounds)
    table.show()
    table.write_json(options.json)
    label_table(max(1, rounds // 10)).show()


if __name__ == "__main__":
    main()
