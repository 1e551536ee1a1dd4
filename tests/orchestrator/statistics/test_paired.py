"""Paired differences, the margin, and choosing on other repeats."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from orchestrator.statistics.cross_chosen import cross_chosen
from orchestrator.statistics.equivalence import cheapest_equal, within_margin
from orchestrator.statistics.paired import differences


def test_differences_are_those_of_a_paired_t_test() -> None:
    scores = np.random.default_rng(0).normal(size=(3, 8))
    found = differences(scores, 1, higher_is_better=True)
    for row in (0, 2):
        test = stats.ttest_rel(scores[row], scores[1])
        band = test.confidence_interval(0.95)
        assert (found.low[row], found.high[row]) == pytest.approx((band.low, band.high))
        one_sided = stats.ttest_rel(scores[1], scores[row], alternative="less").confidence_interval(0.95)
        assert found.upper_deficit()[row] == pytest.approx(one_sided.high)
    assert (found.mean[1], found.low[1], found.high[1]) == (0, 0, 0)


def test_a_loss_counts_the_other_way() -> None:
    scores = np.random.default_rng(0).normal(size=(3, 8))
    gain, loss = differences(scores, 0, True), differences(-scores, 0, False)
    assert np.array_equal(gain.mean, loss.mean)
    assert np.array_equal(gain.high, loss.high)


def test_one_pair_or_none_has_no_interval() -> None:
    scores = np.array([[1.0, 2.0, np.nan], [0.5, np.nan, np.nan], [np.nan, np.nan, 4.0]])
    found = differences(scores, 0, True)
    assert found.n.tolist() == [2, 1, 0]
    assert found.mean[:2].tolist() == [0.0, -0.5]
    assert np.isnan(found.mean[2])
    assert np.isnan(found.low[1:]).all()


def test_only_what_is_shown_to_be_near_is_within_the_margin() -> None:
    noise = np.random.default_rng(0).normal(size=(4, 10)) * 0.001
    scores = np.stack([np.full(10, 0.8), np.full(10, 0.795), np.full(10, 0.795), np.full(10, 0.78)]) + noise
    scores[2] += np.linspace(-0.05, 0.05, 10)
    away = differences(scores, 0, True)
    assert within_margin(away, 0.01).tolist() == [True, True, False, False]
    assert within_margin(away, 0.001).tolist() == [True, False, False, False]
    few = differences(scores[:, :4], 0, True)
    assert not within_margin(few, 0.01).any()


def test_the_cheapest_of_the_near_ones_is_taken_and_never_a_dearer_one() -> None:
    scores = np.full((5, 6), 0.8) + np.random.default_rng(0).normal(size=6) * 0.1
    scores[1:] -= 0.002
    scores[4] -= 0.1
    away = differences(scores, 0, True)
    costs = [(100, 50), (100, 10), (90, 60), (120, 1), (1, 1)]
    assert cheapest_equal([*costs], 0, away, 0.01) == 2
    assert cheapest_equal([costs[0], costs[1], None, costs[3], costs[4]], 0, away, 0.01) == 1
    assert cheapest_equal([*costs], 0, away, 0.001) is None
    assert cheapest_equal([None, *costs[1:]], 0, away, 0.01) is None
    assert cheapest_equal([*costs], 4, differences(scores, 4, True), 0.5) is None


def test_choosing_on_the_other_repeats_takes_away_their_luck() -> None:
    draws = np.random.default_rng(0)
    best, crossed = [], []
    for _ in range(200):
        scores = draws.normal(size=(20, 5))
        best.append(scores.mean(axis=1).max())
        crossed.append(cross_chosen(scores, scores, True).mean())
    assert np.mean(best) > 0.7
    assert np.mean(crossed) == pytest.approx(0.0, abs=0.1)


def test_cross_choice_by_hand() -> None:
    choosing = np.array([[1.0, 1.0, 9.0], [2.0, 2.0, 2.0]])
    scored = np.array([[10.0, 11.0, 12.0], [20.0, 21.0, 22.0]])
    assert cross_chosen(choosing, scored, True).tolist() == [10.0, 11.0, 22.0]
    assert cross_chosen(choosing, scored, False).tolist() == [20.0, 21.0, 12.0]
    assert cross_chosen(choosing[:, :1], scored[:, :1], True).tolist() == []
