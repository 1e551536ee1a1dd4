"""Intervals over groups cover as often as they say; intervals over correlated images about half as often."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from orchestrator.evaluation.intervals import BETA, LOGIT_T, WIDER, group_draws, mean_proportion, percentiles
from orchestrator.evaluation.levels import Asked, level
from orchestrator.evaluation.samples import Units

SHARE, CORRELATION, PER_GROUP = 0.8, 0.3, 20


def drawn_hits(draw: np.random.Generator, groups: int, share: float = SHARE) -> np.ndarray:
    """Right predictions among PER_GROUP images of each group, with this correlation between images of a group."""
    more = 1 / CORRELATION - 1
    return draw.binomial(PER_GROUP, draw.beta(share * more, (1 - share) * more, groups))


def over_images(hits: int, images: int) -> tuple[float, float]:
    """Wilson's interval, as if images were independent."""
    z2, share = stats.norm.ppf(0.975) ** 2, hits / images
    centre = (share + z2 / (2 * images)) / (1 + z2 / images)
    reach = np.sqrt(z2 * (share * (1 - share) / images + z2 / (4 * images**2))) / (1 + z2 / images)
    return centre - reach, centre + reach


@pytest.mark.parametrize("groups", [4, 10, 20, 40])
def test_coverage_over_groups_and_over_images(groups: int) -> None:
    draw, rounds, by_group, by_image = np.random.default_rng(groups), 1500, 0, 0
    trials = np.full((1, groups), PER_GROUP)
    for _ in range(rounds):
        hits = drawn_hits(draw, groups)
        _, low, high, _ = mean_proportion(hits[None], trials)
        by_group += low <= SHARE <= high
        low, high = over_images(int(hits.sum()), groups * PER_GROUP)
        by_image += low <= SHARE <= high
    assert 0.92 <= by_group / rounds <= 0.98
    assert 0.40 <= by_image / rounds <= 0.65


@pytest.mark.parametrize("groups", [10, 20, 55])
@pytest.mark.parametrize("share", [0.9, 0.95, 0.99])
def test_coverage_near_the_border(groups: int, share: float) -> None:
    """Where few groups err, the variance between groups alone covers in 88 % of cases (0.95 in 10 or 20 groups)."""
    draw, rounds, covered = np.random.default_rng(groups), 400, 0
    trials = np.full((1, groups), PER_GROUP)
    for _ in range(rounds):
        _, low, high, _ = mean_proportion(drawn_hits(draw, groups, share)[None], trials)
        covered += low <= share <= high
    assert covered / rounds >= 0.9


def test_one_error_does_not_make_an_interval_narrower_than_none() -> None:
    """As found on blood cells: 55 groups, and in one of ten repeats one image of one group was wrong."""
    trials = np.full((10, 55), 5)
    hits = trials.copy()
    _, sure_low, _, method = mean_proportion(hits, trials)
    assert method == BETA
    hits[3, 7] -= 1
    value, low, high, method = mean_proportion(hits, trials)
    assert method == WIDER
    assert value == pytest.approx(1 - 1 / 2750)
    assert low == pytest.approx(sure_low, abs=0.002)
    assert low < value < high == pytest.approx(1.0, abs=1e-3)
    value, low, high, method = mean_proportion(trials - hits, trials)
    assert (value, low, method) == (pytest.approx(1 / 2750), pytest.approx(0.0, abs=1e-3), WIDER)
    assert high == pytest.approx(1 - sure_low, abs=0.002)


def test_groups_of_unequal_size_are_covered_too() -> None:
    draw, rounds, covered = np.random.default_rng(5), 1500, 0
    more = 1 / CORRELATION - 1
    for _ in range(rounds):
        trials = 1 + draw.geometric(1 / PER_GROUP, 12)
        hits = draw.binomial(trials, draw.beta(SHARE * more, (1 - SHARE) * more, 12))
        _, low, high, _ = mean_proportion(hits[None], trials[None])
        covered += low <= SHARE <= high
    assert 0.92 <= covered / rounds <= 0.98


@pytest.mark.slow
@pytest.mark.parametrize("groups", [20, 40])
def test_coverage_of_the_bootstrap_over_groups(groups: int) -> None:
    """Balanced accuracy of two classes, half of the groups each."""
    draw, rounds, covered = np.random.default_rng(groups), 150, 0
    truth = np.repeat(np.arange(groups) % 2, PER_GROUP)
    group = np.repeat(np.arange(groups), PER_GROUP)
    for _ in range(rounds):
        right = np.concatenate([np.arange(PER_GROUP) < hits for hits in drawn_hits(draw, groups)])
        chances = np.where((truth == 1) == right, 0.9, 0.1)
        units = Units(np.stack([1 - chances, chances], axis=-1)[None], truth, group, groups)
        interval = level(units, Asked(("a", "b"), draws=400)).overall["balanced_accuracy"].interval
        assert interval is not None
        covered += interval.low <= SHARE <= interval.high
    assert 0.86 <= covered / rounds <= 1.0


def test_independent_images_give_nearly_the_interval_of_a_proportion() -> None:
    hits = np.array([[1] * 80 + [0] * 20])
    value, low, high, method = mean_proportion(hits, np.ones_like(hits))
    assert value == pytest.approx(0.8)
    assert (low, high) == pytest.approx(over_images(80, 100), abs=0.01)
    assert method == LOGIT_T


def test_groups_that_are_all_alike_count_as_one_trial_each() -> None:
    hits = np.full((1, 10), 7)
    value, low, high, method = mean_proportion(hits, hits)
    expected = stats.binomtest(10, 10).proportion_ci(method="exact")
    assert (value, high, method) == (1.0, 1.0, BETA)
    assert low == pytest.approx(expected.low)
    value, low, high, _ = mean_proportion(0 * hits, hits)
    assert (value, low) == (0.0, 0.0)
    assert high == pytest.approx(1 - expected.low)
    value, low, high, method = mean_proportion(hits, 2 * hits)
    assert method == BETA
    assert low < 0.25
    assert high > 0.75


def test_repeats_share_their_groups() -> None:
    """Ten repeats that agree say no more about new patients than one."""
    hits = np.array([[3, 5, 2, 6, 4]])
    trials = np.full_like(hits, 6)
    one = mean_proportion(hits, trials)
    ten = mean_proportion(np.repeat(hits, 10, axis=0), np.repeat(trials, 10, axis=0))
    assert ten[:3] == pytest.approx(one[:3])


def test_nothing_is_claimed_of_one_group_or_none() -> None:
    assert np.isnan(mean_proportion(np.array([[3]]), np.array([[4]]))[1:3]).all()
    assert np.isnan(mean_proportion(np.zeros((1, 3)), np.zeros((1, 3)))[0])


def test_draws_keep_the_number_of_groups_of_every_stratum() -> None:
    strata = np.array([0, 1, 1, 2, 2, 2, 2])
    weights = group_draws(strata, 500, seed=1)
    for stratum, count in ((0, 1), (1, 2), (2, 4)):
        assert (weights[:, strata == stratum].sum(axis=1) == count).all()
    assert weights[:, 3:].mean() == pytest.approx(1.0, abs=0.05)
    assert np.array_equal(weights, group_draws(strata, 500, seed=1))
    assert not np.array_equal(weights, group_draws(strata, 500, seed=2))


def test_percentiles_pass_over_a_few_undefined_draws_only() -> None:
    values = np.arange(101.0)
    assert percentiles(values) == pytest.approx((2.5, 97.5))
    assert np.isnan(percentiles(np.where(values < 60, np.nan, values))).all()


def test_macro_f1_is_of_all_classes_or_of_none() -> None:
    """A site that has two of eight classes: accuracy 1 beside a macro F1 of 0.25 would mislead."""
    truth = np.array([0, 0, 1, 1])
    units = Units(np.eye(8)[truth][None] * 0.9 + 0.0125, truth, np.arange(4), 4)
    overall = level(units, Asked(tuple("abcdefgh"))).overall
    assert overall["accuracy"].value == overall["balanced_accuracy"].value == 1.0
    assert overall["macro_f1"].value is None
    assert overall["macro_f1"].reason == "no images of c, d, e, and 3 more classes"
    whole = Units(np.eye(2)[truth][None] * 0.9 + 0.05, truth, np.arange(4), 4)
    assert level(whole, Asked(("a", "b"))).overall["macro_f1"].value == pytest.approx(1.0)
