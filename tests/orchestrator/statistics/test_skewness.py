"""Tails of repeats: the test against scipy's, how often it errs, and rates of divergence."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from orchestrator.statistics.divergence import rate_interval
from orchestrator.statistics.skewness import skewness_z, tails

ROUNDS = 400


def test_z_is_that_of_d_agostino_s_test() -> None:
    values = np.random.default_rng(0).normal(size=(5, 11)) ** 3
    assert skewness_z(values) == pytest.approx(stats.skewtest(values, axis=1).statistic)
    short = values.copy()
    short[0, 8:], short[1, 7:], short[2] = np.nan, np.nan, 0.7
    found = skewness_z(short)
    assert found[0] == pytest.approx(stats.skewtest(values[0, :8]).statistic)
    assert np.isnan(found[1:3]).all()


@pytest.mark.parametrize("configurations", [2, 3, 12])
def test_without_tails_one_is_reported_in_5_of_100_studies(configurations: int) -> None:
    draws = np.random.default_rng(1)
    spread = np.linspace(0.5, 2, configurations)[:, None]
    found = [
        tails(draws.normal(size=(configurations, 10)) * spread + 5 * draws.normal(size=10)).any() for _ in range(ROUNDS)
    ]
    assert np.mean(found) <= 0.085


def test_rivals_with_tails_are_seen_and_a_divergence_that_nobody_marked_is() -> None:
    draws = np.random.default_rng(2)
    seen, side = 0, []
    for _ in range(ROUNDS):
        scores = 1 - draws.exponential(size=(12, 10))
        scores[0] = 0.1 * draws.normal(size=10)
        found = tails(scores)
        seen += (found < 0).any()
        side += found[found != 0].tolist()
    assert seen / ROUNDS > 0.5
    assert np.mean(np.array(side) < 0) > 0.95
    scores = draws.normal(size=(4, 9))
    scores[2, 3] = -50.0
    assert tails(scores).tolist() == [0, 0, -1, 0]
    assert tails(-scores).tolist() == [0, 0, 1, 0]
    assert tails(scores[1:3]).tolist() == [1, -1]
    assert not tails(scores[:1]).any()
    assert not tails(np.full((2, 9), np.nan)).any()
    assert not tails(scores[:, :7]).any()


@pytest.mark.parametrize(("diverged", "repeats"), [(0, 10), (1, 10), (3, 8), (10, 10)])
def test_a_rate_has_the_exact_interval(diverged: int, repeats: int) -> None:
    exact = stats.binomtest(diverged, repeats).proportion_ci(0.95, "exact")
    assert rate_interval(diverged, repeats) == pytest.approx((exact.low, exact.high))
