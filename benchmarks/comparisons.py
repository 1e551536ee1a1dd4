"""How often comparisons hold what they promise: the confidence set and paired intervals on scores that are made up.

Every configuration is equally good in what is compared, so the first one is a true best: it may leave the set in 5 of
100 studies, and 95 of 100 paired intervals to it must hold 0. Each model of scores says how repeats vary. The second
table has three configurations two standard deviations ahead: how many stay in the set beside them.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import special
from table import Table, arguments, progress

from orchestrator.statistics.confidence_set import confidence_set
from orchestrator.statistics.looks import ALPHA, LOOKS, Look
from orchestrator.statistics.paired import difference_intervals
from orchestrator.statistics.resampled import corrected_test
from orchestrator.statistics.sign_flips import sign_flip_p
from orchestrator.statistics.skewness import tails

Floats = NDArray[np.float64]
Draw = np.random.Generator

CONFIGURATIONS, REPEATS = 10, LOOKS[-1].repeats
AT, TOLD = (8, 10, 12, 20), (10, 20)
AHEAD, OF, BY = 3, 30, 2.0
RATE, DEPTH = 0.1, 10.0
"""Of repeats that diverge; how many standard deviations their score at epoch 0 lies below the others'."""


def main() -> None:
    parser = arguments(__doc__ or "", rounds=1000)
    parser.add_argument("--seed", type=int, default=0, help="of the scores (default: %(default)s)")
    given = parser.parse_args()
    rounds = 40 if given.quick else given.rounds
    tables = {**_kept_and_held(rounds, given.seed), "sizes": _sizes(max(rounds // 10, 5), given.seed)}
    tables["partitions"] = _over_partitions(rounds, given.seed)
    for name, table in tables.items():
        table.show()
        table.write_json(given.json and given.json.with_stem(f"{given.json.stem}_{name}"))


def _normal(draw: Draw, shape: tuple[int, int, int]) -> Floats:
    return draw.normal(size=shape)


def _unequal(draw: Draw, shape: tuple[int, int, int]) -> Floats:
    return draw.normal(size=shape) * np.geomspace(1 / 3, 3, shape[1])[:, None]


def _correlated(draw: Draw, shape: tuple[int, int, int]) -> Floats:
    """A repeat's luck is shared by all, and more of it by every second one."""
    rounds, configurations, repeats = shape
    half = draw.normal(size=(rounds, 2, repeats))[:, np.arange(configurations) % 2]
    return draw.normal(size=shape) + half + 2 * draw.normal(size=(rounds, 1, repeats))


def _diverging(draw: Draw, shape: tuple[int, int, int]) -> Floats:
    """What diverged is left out."""
    return np.where(draw.random(shape) < RATE, np.nan, draw.normal(size=shape))


def _counted(draw: Draw, shape: tuple[int, int, int]) -> Floats:
    """Rivals diverge, the best never does; on average they are as good because of their other repeats."""
    scores = draw.normal(size=shape)
    rivals = scores[:, 1:]
    rivals += np.where(draw.random(rivals.shape) < RATE, -DEPTH * (1 - RATE), DEPTH * RATE)
    return scores


def _bad_tails(draw: Draw, shape: tuple[int, int, int]) -> Floats:
    return 1 - draw.exponential(size=shape)


def _rivals(spread: float, sign: float) -> Callable[[Draw, tuple[int, int, int]], Floats]:
    """Exponential tails of the rivals, bad ones (1) or good ones (−1), beside a best that is normal."""

    def made(draw: Draw, shape: tuple[int, int, int]) -> Floats:
        scores = sign * _bad_tails(draw, shape)
        scores[:, 0] = spread * draw.normal(size=(shape[0], shape[2]))
        return scores

    return made


def _best(sign: float) -> Callable[[Draw, tuple[int, int, int]], Floats]:
    def made(draw: Draw, shape: tuple[int, int, int]) -> Floats:
        scores = draw.normal(size=shape)
        scores[:, 0] = sign * (1 - draw.exponential(size=(shape[0], shape[2])))
        return scores

    return made


MODELS: dict[str, Callable[[Draw, tuple[int, int, int]], Floats]] = {
    "normal": _normal,
    "normal, standard deviations from 1/3 to 3": _unequal,
    "normal, correlated rows": _correlated,
    "10 % diverge, left out": _diverging,
    "10 % of the rivals diverge, counted at epoch 0": _counted,
    "all exponential, bad tails": _bad_tails,
    "rivals exponential, bad tails; best normal": _rivals(1.0, 1.0),
    "rivals exponential, bad tails; best of a tenth of their spread": _rivals(0.1, 1.0),
    "rivals exponential, good tails; best of a tenth of their spread": _rivals(0.1, -1.0),
    "best exponential, bad tail; rivals normal": _best(1.0),
    "best exponential, good tail; rivals normal": _best(-1.0),
}
"""Standard deviation 1 and mean 0 where nothing else is said; scores [rounds, configurations, repeats]."""


def _kept_and_held(rounds: int, seed: int) -> dict[str, Table]:
    """Shares in percent ± their Monte Carlo standard error."""
    about = f"{rounds:,} studies of {CONFIGURATIONS} configurations each; ± is the Monte Carlo standard error."
    kept = Table(
        "Studies in which the true best is in the set (%)",
        ("scores", *(f"look at {look.repeats}" for look in LOOKS), f"one test at {ALPHA}, 10 repeats"),
        notes=[
            about,
            "look at: over all looks so far. Each is shown until the next one: at 10 repeats, that of 8. one test: "
            "what would stay if all the error were spent once.",
        ],
    )
    held = Table(
        "Paired intervals that contain the true difference, and studies in which tails are reported (%)",
        ("scores", *(f"intervals, {n} repeats" for n in AT), *(f"reported at {n}" for n in TOLD)),
        notes=[about, "reported: some configuration is called strongly skewed."],
    )
    for number, (name, model) in enumerate(MODELS.items()):
        scores = model(np.random.default_rng([seed, number]), (rounds, CONFIGURATIONS, REPEATS))
        out = np.array([_excluded_at(one) for one in scores])
        once = np.array([sign_flip_p(one[:, :10], np.array([0]))[0] > ALPHA for one in scores])
        kept.add(name, *(_percent(out > look.repeats) for look in LOOKS), _percent(once))
        told = (np.array([tails(one[:, :n]).any() for one in scores]) for n in TOLD)
        held.add(name, *(_percent(_holds(scores[:, :, :n])) for n in AT), *map(_percent, told))
        progress(name)
    return {"sets": kept, "intervals": held}


def _excluded_at(scores: Floats) -> float:
    """The look that excludes the first configuration; infinite where none does. What diverged is NaN."""
    confidence = confidence_set(np.nan_to_num(scores, nan=-DEPTH), True, np.isnan(scores))
    return float("inf") if 0 in (*confidence.members, *confidence.uncompared) else float(confidence.at[0])


def _holds(scores: Floats) -> Floats:
    """float64 [rounds]: the share of the intervals of differences to the first configuration that hold 0."""
    pairs = scores[:, 1:] - scores[:, :1]
    intervals = difference_intervals(pairs.reshape(-1, pairs.shape[2]))
    inside = (intervals.low <= 0) & (intervals.high >= 0)
    return np.asarray(inside.reshape(pairs.shape[:2]).mean(axis=1))


def _percent(share: np.ndarray) -> str:
    error = share.std() / len(share) ** 0.5
    return f"{100 * share.mean():.1f} ± {100 * error:.1f}"


def _sizes(rounds: int, seed: int) -> Table:
    table = Table(
        f"Size of the set, {AHEAD} of {OF} configurations {BY:g} standard deviations ahead",
        ("repeats", "looks", f"one test at {ALPHA}"),
        notes=[
            f"Means of {rounds:,} studies ± standard error, normal scores. one test: all the error is spent once, at "
            "this number of repeats.",
            _every_number(rounds * 5, seed),
        ],
    )
    draw = np.random.default_rng([seed, len(MODELS)])
    scores = draw.normal(size=(rounds, OF, REPEATS))
    scores[:, :AHEAD] += BY
    for n in AT:
        by_looks = np.array([len(confidence_set(one[:, :n], True).members) for one in scores])
        once = np.array([len(confidence_set(one[:, :n], True, looks=(Look(n, ALPHA),)).members) for one in scores])
        shown = (f"{size.mean():.1f} ± {size.std() / rounds**0.5:.1f}" for size in (by_looks, once))
        table.add(n, *shown)
        progress(f"sizes at {n} repeats")
    return table


def _over_partitions(rounds: int, seed: int) -> Table:
    """The corrected resampled t-test, of two classifiers that are really trained on partitions of the same rows."""
    table = Table(
        "Corrected resampled intervals that contain the true difference (%)",
        ("partitions", "of 300 rows", "of 60 rows", "without the correction, of 300 rows"),
        notes=[
            f"{rounds:,} data sets; nearest-mean classifiers of 5 and of 15 features, a fifth of the rows for "
            "validation; ± is the Monte Carlo standard error. The true difference is that of "
            "classifiers trained on as many other rows."
        ],
    )
    for k in (2, 3, 5, 10):
        shares = []
        for rows, ratio in ((300, 0.25), (60, 0.25), (300, 0.0)):
            gaps, truth = _gaps(np.random.default_rng([seed, k, rows]), rounds, rows, k)
            scores = np.stack([np.zeros_like(gaps), gaps], axis=1)[..., None]
            tests = [corrected_test(one, 0, True, ratio) for one in scores]
            shares.append(_percent(np.array([one.low[1] <= truth <= one.high[1] for one in tests])))
        table.add(k, *shares)
        progress(f"{k} partitions")
    return table


def _gaps(draw: Draw, rounds: int, rows: int, k: int) -> tuple[Floats, float]:
    """(differences of valid accuracy [rounds, partitions], the true difference at this number of training rows)."""
    shift = np.where(np.arange(15) < 5, 0.35, 0.1)
    sign = np.where(np.arange(rows) % 2, 1.0, -1.0)
    gaps, true = np.empty((rounds, k)), np.empty(rounds)
    for number in range(rounds):
        images = sign[:, None] * shift + draw.normal(size=(rows, 15))
        for place in range(k):
            valid = np.zeros(rows, dtype=bool)
            valid[draw.permutation(rows)[: rows // 5]] = True
            accuracies = []
            for features in (5, 15):
                seen = images[~valid, :features]
                ends = [seen[sign[~valid] == side].mean(axis=0) for side in (-1, 1)]
                direction, middle = ends[1] - ends[0], (ends[0] + ends[1]) / 2
                right = ((images[valid, :features] - middle) @ direction) * sign[valid] > 0
                reach = [side * ((side * shift[:features] - middle) @ direction) for side in (-1, 1)]
                accuracies.append((right.mean(), special.ndtr(np.array(reach) / np.linalg.norm(direction)).mean()))
            gaps[number, place] = accuracies[1][0] - accuracies[0][0]
            true[number] = accuracies[1][1] - accuracies[0][1]  # of the last partition: one set of rows each
    return gaps, float(true.mean())


def _every_number(rounds: int, seed: int) -> str:
    """What the looks are for: the share that is excluded when every number of repeats is a test of its own."""
    draw, first = np.random.default_rng([seed, len(MODELS) + 1]), np.array([0])
    numbers = range(LOOKS[0].repeats, REPEATS + 1)
    out = np.array(
        [
            any(sign_flip_p(one[:, :n], first)[0] <= ALPHA for n in numbers)
            for one in draw.normal(size=(rounds, CONFIGURATIONS, REPEATS))
        ]
    )
    return (
        f"Tested at {ALPHA} with every number of repeats from {numbers[0]} to {numbers[-1]}, the true best among "
        f"{CONFIGURATIONS} equal ones is excluded at some of them in {_percent(out)} % of {rounds:,} studies."
    )


if __name__ == "__main__":
    main()
