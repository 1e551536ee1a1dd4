"""How often the 95 % intervals of a test cover, for every metric that has one, on made-up groups of known scores.

Two classes in turn over the groups. An image is predicted right where an effect of its group, an effect of its own
(logistic) and a constant add up to more than 0; its probability follows the sum. What is promised: effects of groups
with one peak, whose standard deviation on the logit scale is 0.7. The truth is the score of 60,000 groups. A cell is
of the intervals that were printed: per cent that cover (per cent too high, per cent too low), median width, and the
share that was printed where it is not all.
"""

from __future__ import annotations

import functools
import multiprocessing
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit
from scipy.stats import binomtest
from table import Table, arguments, progress

from orchestrator.evaluation.limits import Limits
from orchestrator.evaluation.resampling import Resampled
from orchestrator.evaluation.samples import Units
from orchestrator.statistics.bias_corrected import Predictions, bias_corrected

ACCURACIES = (0.7, 0.85, 0.95, 0.99)
EACH = (5, 8, 10, 20, 40)
"""Groups of each of two classes."""
DRAWS = 400
"""Fewer than a search takes: limits are less exact, which covers rather less often."""
MANY = 60_000
SD = 0.7
OFTEN = 0.1
EVEN = "accuracy, mean over groups"
BY_GROUP = "accuracy, a prediction per group"
METRICS = {
    "accuracy": "accuracy",
    EVEN: "accuracy",
    BY_GROUP: "accuracy",
    "balanced accuracy": "balanced_accuracy",
    "macro F1": "macro_f1",
    "Matthews correlation": "mcc",
    "Cohen's kappa": "kappa",
    "ROC AUC": "roc_auc",
    "average precision": "average_precision",
    "Brier score": "brier",
    "log loss": "log_loss",
    "sensitivity, specificity": "recall/1",
    "PPV, NPV": "precision/1",
    "F1 of a class": "f1/1",
}
Effects = Callable[[np.random.Generator, int], np.ndarray]
Sizes = Callable[[np.random.Generator, int], np.ndarray]


def normal(generator: np.random.Generator, groups: int) -> np.ndarray:
    return SD * generator.standard_normal(groups)


def wide(generator: np.random.Generator, groups: int) -> np.ndarray:
    return generator.standard_normal(groups)


def skewed(generator: np.random.Generator, groups: int) -> np.ndarray:
    """One peak and a long tail of bad groups: a gamma of shape 4, standard deviation 0.7."""
    return SD * (2 - generator.standard_gamma(4, groups) / 2)


def two_points(generator: np.random.Generator, groups: int) -> np.ndarray:
    """A tenth of the groups fails wholly."""
    return np.where(generator.random(groups) < 0.1, -30.0, 0.0)


def equal(_generator: np.random.Generator, groups: int) -> np.ndarray:
    return np.full(groups, 12)


def geometric(generator: np.random.Generator, groups: int) -> np.ndarray:
    return generator.geometric(1 / 12, groups)


def huge(_generator: np.random.Generator, groups: int) -> np.ndarray:
    """The first group has as many images as all others together."""
    sizes = np.full(groups, 12)
    sizes[0] = 12 * (groups - 1)
    return sizes


@dataclass(frozen=True)
class Kind:
    """A way to make groups up. accuracy: of all of them, which sets the constant."""

    effects: Effects
    sizes: Sizes
    accuracy: float

    def units(self, generator: np.random.Generator, groups: int, constant: float) -> Units:
        images = self.sizes(generator, groups)
        group = np.repeat(np.arange(groups), images)
        truth = group % 2
        noise = generator.logistic(size=len(group))
        chance = expit((constant + self.effects(generator, groups)[group] + noise) * np.where(truth == 1, 1, -1))
        return Units(np.stack([1 - chance, chance], axis=-1)[None], truth, group, groups)


@dataclass
class Count:
    """Of the intervals of one metric in one cell."""

    covered: int = 0
    high: int = 0
    low: int = 0
    widths: tuple[float, ...] = ()
    rounds: int = 0

    def add(self, low: float, high: float, truth: float) -> None:
        self.covered += low <= truth <= high
        self.high += low > truth
        self.low += high < truth
        self.widths += (high - low,)

    @property
    def bound(self) -> float:
        """Lower 95 % limit of the coverage, by Clopper and Pearson, in per cent."""
        printed = len(self.widths)
        return 100 * binomtest(self.covered, printed, alternative="greater").proportion_ci().low if printed else 100.0

    def text(self) -> str:
        printed = len(self.widths)
        if printed < self.rounds / 100:
            return "none printed"
        per_cent = [f"{100 * count / printed:.1f}" for count in (self.covered, self.high, self.low)]
        share = "" if printed == self.rounds else f", {100 * printed / self.rounds:.0f} % printed"
        return f"{per_cent[0]} ({per_cent[1]}, {per_cent[2]}) {np.median(self.widths):.2f}{share}"


def seen(units: Units, seed: int, draws: int = DRAWS) -> dict[str, tuple[float, Limits]]:
    """Each metric's value and what gives its interval."""
    by_group = units.by_group()
    assert by_group is not None
    scored: dict[str, tuple[float, Limits]] = {}
    for which, these, base in (
        ("", units, np.ones(units.groups)),
        (EVEN, units, units.even_base()),
        (BY_GROUP, by_group, np.ones(units.groups)),
    ):
        resampled = Resampled(these, (), 1, base)
        values, limits = resampled.values(), Limits(resampled, ("A", "B"), draws, seed)
        names = [which] if which else [name for name in METRICS if name not in (EVEN, BY_GROUP)]
        scored |= {name: (float(values[METRICS[name]][0]), limits) for name in names}
    return scored


@functools.cache
def known(effects: Effects, sizes: Sizes, accuracy: float) -> tuple[float, dict[str, float]]:
    """(the constant, the true score of each metric)."""
    drawn = effects(np.random.default_rng(0), MANY)
    constant = float(brentq(lambda value: expit(value + drawn).mean() - accuracy, -20, 60))
    many = Kind(effects, sizes, accuracy).units(np.random.default_rng(1), MANY, constant)
    return constant, {name: value for name, (value, _) in seen(many, 0, 1).items()}


def cell(asked: tuple[Kind, int, int, int]) -> dict[str, Count]:
    """Counts of all metrics for a kind and number of groups. asked: kind, groups, rounds, seed."""
    kind, groups, rounds, seed = asked
    generator, (constant, truth) = (
        np.random.default_rng(seed),
        known(kind.effects, equal if kind.sizes is huge else kind.sizes, kind.accuracy),
    )
    counts = {name: Count(rounds=rounds) for name in METRICS}
    for number in range(rounds):
        for name, (_, limits) in seen(kind.units(generator, groups, constant), number).items():
            interval = limits.of(METRICS[name])[0]
            if interval is not None:
                counts[name].add(interval.low, interval.high, truth[name])
    return counts


def main() -> None:
    parser = arguments(__doc__ or "", rounds=4000)
    options = parser.parse_args()
    rounds, each, accuracies = int(options.rounds), tuple(EACH), tuple(ACCURACIES)
    if options.quick:
        rounds, each, accuracies = min(rounds, 20), (5, 8), (0.85,)
    promised = [Kind(normal, sizes, accuracy) for sizes in (equal, geometric) for accuracy in accuracies]
    others = [Kind(effects, geometric, 0.9) for effects in (wide, skewed)]
    failing = [Kind(two_points, equal, 0.882), Kind(normal, huge, 0.9)]
    asked = [(kind, groups) for kind in promised for groups in each]
    asked += [(kind, groups) for kind in (*others, *failing) for groups in each[1::2]]
    with multiprocessing.Pool(initializer=np.seterr, initargs=("ignore",)) as pool:
        jobs = [(kind, 2 * groups, rounds, number) for number, (kind, groups) in enumerate(asked)]
        cells: dict[tuple[Kind, int], dict[str, Count]] = {}
        for place, counts in enumerate(pool.imap(cell, jobs)):
            progress(f"{place + 1} of {len(jobs)} cells")
            cells[asked[place]] = counts
    table = _promised(cells, promised, each, accuracies, rounds)
    table.show()
    table.write_json(options.json)
    _others(cells, (*others, *failing), each[1::2], rounds).show()
    _several(((4, 5), (8, 5), (8, 10)), rounds).show()
    _corrected(each[2:] or each[-1:], max(rounds // 4, 5)).show()


def _promised(
    cells: dict[tuple[Kind, int], dict[str, Count]],
    kinds: Sequence[Kind],
    each: Sequence[int],
    accuracies: Sequence[float],
    rounds: int,
) -> Table:
    table = Table(
        "Coverage of 95 % intervals: effects of groups with one peak",
        ("metric", "groups of each class", "images", *(f"accuracy {accuracy}" for accuracy in accuracies)),
    )
    counts = [cells[kind, groups][name] for kind in kinds for groups in each for name in METRICS]
    least = min(count.bound for count in counts if len(count.widths) >= rounds * OFTEN)
    table.notes.append(
        f"{rounds} rounds a cell, {DRAWS} draws an interval. Lower Monte Carlo bounds (95 %) of cells where at least a "
        f"tenth of the intervals are given: at least {least:.1f} %."
    )
    for name in METRICS:
        for groups in each:
            for sizes in (equal, geometric):
                own = [cells[kind, groups][name].text() for kind in kinds if kind.sizes is sizes]
                table.add(name, groups, f"{sizes.__name__}", *own)
    return table


def _others(
    cells: dict[tuple[Kind, int], dict[str, Count]], kinds: Sequence[Kind], each: Sequence[int], rounds: int
) -> Table:
    names = ("accuracy", EVEN, "balanced accuracy", "ROC AUC", "log loss")
    table = Table(
        "Coverage of 95 % intervals: other effects, and known failures", ("kind", "groups of each class", *names)
    )
    table.notes.append(f"{rounds} rounds a cell; accuracy 0.9, with two points 0.882.")
    for kind in kinds:
        for groups in each:
            own = cells[kind, groups]
            table.add(f"{kind.effects.__name__}, {kind.sizes.__name__}", groups, *(own[name].text() for name in names))
    return table


def several_units(
    generator: np.random.Generator, classes: int, groups: int, mixed: bool, constant: float, sd: float
) -> Units:
    """12 images a group, of one class or of all in turn; a wrong one is taken for any other class."""
    group = np.repeat(np.arange(groups), 12)
    truth = np.arange(len(group)) % classes if mixed else group % classes
    chance = expit(constant + sd * generator.standard_normal(groups)[group] + generator.logistic(size=len(group)))
    chances = np.zeros((len(group), classes))
    other = (truth + generator.integers(1, classes, len(group))) % classes
    chances[np.arange(len(group)), truth] = chance
    chances[np.arange(len(group)), other] = 1 - chance
    return Units(chances[None], truth, group, groups)


def _several(cells: Sequence[tuple[int, int]], rounds: int) -> Table:
    """Four and eight classes, in groups of one class and in groups of all."""
    metrics = {name: METRICS[name].replace("/1", "/0") for name in METRICS if name not in (EVEN, BY_GROUP)}
    del metrics["sensitivity, specificity"], metrics["PPV, NPV"]
    metrics |= {"sensitivity": "recall/0", "specificity": "specificity/0", "PPV": "precision/0", "NPV": "npv/0"}
    kinds = [(classes, each, mixed) for classes, each in cells for mixed in (False, True)]
    table = Table(
        "Coverage of 95 % intervals: more classes, accuracy 0.9",
        ("metric", *(f"{k} classes, {each} groups {'of all' if mixed else 'each'}" for k, each, mixed in kinds)),
        notes=[f"{rounds} rounds a cell, {DRAWS} draws an interval; metrics of one class are those of the first."],
    )
    columns = []
    for classes, each, mixed in kinds:
        drawn = normal(np.random.default_rng(0), MANY)
        constant = float(brentq(lambda value, drawn=drawn: expit(value + drawn).mean() - 0.9, -20, 20))
        many = several_units(np.random.default_rng(1), classes, MANY // 12, mixed, constant, SD)
        truth = Resampled(many, (), None, np.ones(many.groups)).values()
        generator, counts = np.random.default_rng(classes), {name: Count(rounds=rounds) for name in metrics}
        for number in range(rounds):
            units = several_units(generator, classes, each * (1 if mixed else classes), mixed, constant, SD)
            limits = Limits(
                Resampled(units, (), None, np.ones(units.groups)), tuple("ABCDEFGH"[:classes]), DRAWS, number
            )
            for name, metric in metrics.items():
                interval = limits.of(metric)[0]
                if interval is not None:
                    counts[name].add(interval.low, interval.high, float(truth[metric][0]))
        columns.append(counts)
        progress(f"{classes} classes, {each} groups, {'of all' if mixed else 'each'}")
    for name in metrics:
        table.add(name, *(counts[name].text() for counts in columns))
    return table


def _corrected(each: Sequence[int], rounds: int) -> Table:
    """Of the bias-corrected figure: the winner of eight configurations that are nearly alike, three repeats each."""
    table = Table(
        "Coverage of the interval of the bias-corrected figure: accuracy of the winner of eight",
        ("groups of each class", "images", "interval", "winner's score, mean error", "corrected, mean error"),
        notes=[f"{rounds} rounds a cell, 200 choices each."],
    )
    constants, own = np.linspace(1.6, 2.0, 8), 0.3
    spread = (SD**2 + own**2) ** 0.5 * np.random.default_rng(1).standard_normal(MANY)
    truth = [float(expit(constant + spread).mean()) for constant in constants]
    for groups in each:
        for sizes in (equal, geometric):
            generator, count, errors = np.random.default_rng(groups), Count(rounds=rounds), []
            for number in range(rounds):
                group = np.repeat(np.arange(2 * groups), sizes(generator, 2 * groups))
                shared = SD * generator.standard_normal(2 * groups)
                effects = shared + own * generator.standard_normal((8, 2 * groups))
                noise = generator.logistic(size=(8, 3, len(group)))
                right = constants[:, None, None] + effects[:, None, group] + noise > 0
                predicted = np.where(right, group % 2, 1 - group % 2).astype(np.int16)
                losses, train = np.zeros(right.shape, dtype=np.float32), np.full((8, 3), np.nan)
                made = Predictions(group % 2, group, ("A", "B"), predicted, losses, train, "binary")
                winner = int(right.mean(axis=(1, 2)).argmax())
                figure = bias_corrected(made, winner, "accuracy", 200, number)
                assert figure is not None
                assert figure.low is not None
                assert figure.high is not None
                count.add(figure.low, figure.high, truth[winner])
                errors.append([figure.plain["accuracy"] - truth[winner], figure.corrected["accuracy"] - truth[winner]])
            means = np.mean(errors, axis=0)
            table.add(groups, sizes.__name__, count.text(), *(f"{mean:+.3f}" for mean in means))
    return table


if __name__ == "__main__":
    main()
