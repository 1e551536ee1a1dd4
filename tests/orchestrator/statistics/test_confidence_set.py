"""The confidence set against a slow and plain reading of its definition, and by simulation."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from orchestrator.statistics.confidence_set import ALPHA, confidence_set

ROUNDS = 250


def plain_p(values: np.ndarray, c: int) -> float:
    """By Student's t of every difference and all 2ⁿ flips, one after the other; equal numbers of repeats."""
    gaps = np.delete(values - values[c], c, axis=0)
    n = gaps.shape[1]

    def largest(signs: np.ndarray) -> float:
        flipped = gaps * signs
        return float((flipped.mean(axis=1) / (flipped.std(axis=1, ddof=1) / n**0.5)).max())

    observed = largest(np.ones(n))
    reached = [largest(np.array(signs)) >= observed - 1e-9 for signs in product((1.0, -1.0), repeat=n)]
    return float(np.mean(reached))


@pytest.mark.parametrize("higher_is_better", [True, False])
def test_p_is_the_share_of_flips_that_reach_the_observed_t(higher_is_better: bool) -> None:
    values = np.random.default_rng(3).normal(size=(5, 7)) + np.linspace(0, 1.5, 5)[:, None]
    found = confidence_set(values if higher_is_better else -values, higher_is_better)
    assert found.p == pytest.approx([plain_p(values, c) for c in range(5)])
    assert found.best == int(values.mean(axis=1).argmax())
    assert set(found.members) == {c for c in range(5) if found.p[c] > ALPHA}
    assert found.members[0] == found.best
    assert np.all(found.difference <= 0)
    assert found.mean == pytest.approx((values if higher_is_better else -values).mean(axis=1))


@pytest.mark.parametrize("spread", [0.0, 0.5, 5.0, 50.0])
def test_p_is_the_same_where_most_others_cannot_reach_it(spread: float) -> None:
    """Others whose largest flip stays behind are left out: none that counts may be among them."""
    draws = np.random.default_rng(5)
    values = draws.normal(size=(24, 6)) + spread * np.linspace(0, 1, 24)[:, None] + draws.normal(size=6)
    found = confidence_set(values, True)
    assert found.p.tolist() == pytest.approx([plain_p(values, c) for c in range(24)])
    assert len({*found.p.tolist()}) > 2


def test_under_a_null_grid_the_true_best_stays_in_at_least_93_of_100_rounds() -> None:
    """All 30 have the same true mean, and repeats are shared: a bad start is bad for all of them."""
    draws = np.random.default_rng(1)
    stays = 0
    for _ in range(ROUNDS):
        scores = draws.normal(size=(30, 10)) + draws.normal(size=10)
        stays += 0 in confidence_set(scores, True).members
    assert stays / ROUNDS >= 0.93


def test_three_far_ahead_leave_few_others_in_the_set() -> None:
    draws = np.random.default_rng(2)
    sizes, best_stays = [], 0
    for _ in range(ROUNDS):
        scores = draws.normal(size=(30, 10))
        scores[:3] += 2.0
        found = confidence_set(scores, True)
        sizes.append(len(found.members))
        best_stays += 0 in found.members
    assert np.median(sizes) <= 4
    assert np.mean(sizes) < 6
    assert best_stays / ROUNDS >= 0.93


def test_the_best_stays_where_spreads_and_tails_differ() -> None:
    draws = np.random.default_rng(4)
    stays = 0
    for _ in range(ROUNDS):
        scores = draws.standard_t(3, size=(12, 10)) * np.linspace(0.2, 3.0, 12)[:, None]
        stays += 0 in confidence_set(scores, True).members
    assert stays / ROUNDS >= 0.93


def test_below_five_repeats_nothing_is_excluded() -> None:
    scores = np.arange(4)[:, None] * 100 + np.random.default_rng(0).normal(size=(4, 4))
    found = confidence_set(scores, True)
    assert not found.can_exclude
    assert found.members == (3, 2, 1, 0)
    assert found.p.min() == 1 / 16


def test_five_repeats_exclude_little_and_six_more() -> None:
    """The flip of all signs counts where somebody is as far behind a configuration as the best is ahead of it."""
    apart, noise = np.arange(3)[:, None] * 100.0, 1 + 1e-3 * np.random.default_rng(0).random(size=(3, 6))
    five, six = confidence_set(apart * noise[:, :5], True), confidence_set(apart * noise, True)
    assert five.can_exclude
    assert five.p.tolist() == [1 / 32, 2 / 32, 1.0]
    assert five.members == (2, 1)
    assert six.p.tolist() == [1 / 64, 2 / 64, 1.0]
    assert six.members == (2,)


def test_drawn_signs_agree_with_all_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(8).normal(size=(6, 11)) + np.linspace(0, 0.8, 6)[:, None]
    exact = confidence_set(values, True).p
    monkeypatch.setattr("orchestrator.statistics.confidence_set.ALL_FLIPS", 4)
    drawn = confidence_set(values, True).p
    assert not np.array_equal(exact, drawn)
    assert drawn == pytest.approx(exact, abs=0.02)
    assert np.array_equal(drawn, confidence_set(values, True).p)


def test_small_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(8).normal(size=(9, 8))
    whole = confidence_set(values, True).p
    monkeypatch.setattr("orchestrator.statistics.confidence_set._BLOCK", 1)
    assert np.array_equal(confidence_set(values, True).p, whole)


def test_pairs_use_the_repeats_that_both_have() -> None:
    """One configuration was asked for ten repeats, the others for six: its extra ones exclude nobody."""
    values = np.random.default_rng(5).normal(size=(4, 6))
    long = np.full((4, 10), np.nan)
    long[:, :6] = values
    long[0, 6:] = 50.0
    found, short = confidence_set(long, True), confidence_set(values, True)
    assert found.p[1:] == pytest.approx(short.p[1:])
    assert found.best == 0
    assert found.n.tolist() == [10, 6, 6, 6]
    assert found.difference[1:] == pytest.approx((values[1:] - values[0]).mean(axis=1))


def test_equal_and_constant_configurations() -> None:
    row = np.random.default_rng(0).normal(size=6)
    found = confidence_set(np.stack([row, row, row - 1.0]), True)
    assert found.members == (0, 1)
    assert found.p.tolist() == [1.0, 1.0, 1 / 64]
    assert found.difference.tolist() == pytest.approx([0.0, 0.0, -1.0])


def test_a_single_configuration_is_the_set() -> None:
    found = confidence_set(np.array([[0.3, 0.4]]), True)
    assert (found.members, found.p.tolist(), found.best) == ((0,), [1.0], 0)
    assert confidence_set(np.array([[0.3]]), True).members == (0,)


@pytest.mark.parametrize(
    "scores", [np.zeros((0, 3)), np.zeros(3), np.array([[1.0, np.inf]]), np.array([[1.0], [np.nan]])]
)
def test_scores_that_are_none_are_refused(scores: np.ndarray) -> None:
    with pytest.raises(ValueError, match="scores: expected"):
        confidence_set(scores, True)


def test_rounding_excludes_nothing() -> None:
    """The same configuration in two studies, stacked otherwise in one: last bits that happen to agree in sign."""
    scores = np.random.default_rng(8).normal(1.2, 0.03, size=8)
    found = confidence_set(np.stack([scores, scores + 6e-8]), higher_is_better=False)
    assert sorted(found.members) == [0, 1]
    assert found.p.tolist() == [1.0, 1.0]
    apart = confidence_set(np.stack([scores, scores + 2e-5]), higher_is_better=False)
    assert apart.members == (0,)
