"""Importance of settings: against a count over the whole grid, and on functions of which the answer is known."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from sklearn.tree import DecisionTreeRegressor

from orchestrator.statistics import setting_importance as importance

Floats = np.ndarray


def spread(count: int, settings: int, seed: int = 0) -> np.ndarray:
    """Codes of configurations drawn at random over eight values of each setting."""
    return np.random.default_rng(seed).integers(0, 8, (count, settings))


def repeats(means: np.ndarray, noise: float, n: int = 5, seed: int = 1) -> list[np.ndarray]:
    draw = np.random.default_rng(seed)
    return [mean + noise * draw.normal(size=n) for mean in means]


def test_variances_of_a_tree_are_those_over_the_whole_grid() -> None:
    """Every combination of values, each as likely as its values are: means and variances by counting."""
    draw = np.random.default_rng(3)
    codes = np.stack([draw.integers(0, 3, 60), draw.integers(0, 4, 60) ** 2 // 3, draw.integers(0, 2, 60)], axis=1)
    codes = np.stack([np.unique(column, return_inverse=True)[1] for column in codes.T], axis=1)
    values = codes[:, 0] * codes[:, 1] + draw.normal(size=60)
    tree = DecisionTreeRegressor(min_samples_leaf=2, random_state=0).fit(codes, values)
    shares = [np.bincount(column) / 60 for column in codes.T]
    grid = np.array(list(product(*(range(len(own)) for own in shares))))
    chance = np.array([np.prod([own[at] for own, at in zip(shares, point, strict=True)]) for point in grid])
    answers = tree.predict(grid)
    mean = chance @ answers
    alone = []
    for setting, own in enumerate(shares):
        given = [
            np.average(answers[on], weights=chance[on]) for on in (grid[:, setting] == at for at in range(len(own)))
        ]
        alone.append(own @ (np.array(given) - mean) ** 2)
    whole, of_each = importance._Space.of(codes).variances(tree.tree_)
    assert whole == pytest.approx(chance @ (answers - mean) ** 2)
    assert of_each == pytest.approx(alone)
    assert of_each.sum() < whole, "the rest is what they do together"


def test_what_decides_alone_and_what_decides_together() -> None:
    codes = spread(300, 4)
    alone = importance.importances(codes, repeats(codes[:, 0] + 0.0, 0.0), 0)
    assert alone.alone[0] > 0.95
    assert alone.shuffled[0] == pytest.approx(2, abs=0.2), "two independent draws differ by twice the variance"
    assert alone.predicted > 0.95
    assert np.abs(alone.shuffled[1:]).max() < 0.02

    even = importance.importances(codes, repeats(codes[:, 0] + codes[:, 1] + 0.0, 0.0), 0)
    assert even.alone[:2] == pytest.approx([0.47, 0.47], abs=0.06)
    assert even.shuffled[:2] == pytest.approx([1, 1], abs=0.25)

    together = importance.importances(codes, repeats((codes[:, 0] - 3.5) * (codes[:, 1] - 3.5), 0.0), 0)
    assert together.alone.max() < 0.25
    assert together.shuffled[:2].min() > 5 * together.shuffled[2:].max()


def test_nothing_is_learnt_from_noise() -> None:
    found = importance.importances(spread(100, 3), repeats(np.zeros(100), 1.0), 0)
    assert found.predicted < 0.1
    assert (np.abs(found.shuffled) < 3 * found.shuffled_error).all()


def test_errors_grow_with_the_noise_of_repeats_and_are_those_of_other_repeats() -> None:
    """They are about how much the estimate differs when all repeats are made anew."""
    codes = spread(60, 3)
    means = codes[:, 0] + 0.5 * codes[:, 1]
    quiet, loud = (importance.importances(codes, repeats(means, noise), 0) for noise in (0.1, 6.0))
    assert (loud.alone_error[:2] > quiet.alone_error[:2]).all()
    again = [importance.importances(codes, repeats(means, 6.0, seed=seed), 0) for seed in range(10)]
    told = np.mean([one.alone_error[0] for one in again])
    assert 0.5 < told / np.std([one.alone[0] for one in again], ddof=1) < 2


def test_one_repeat_has_no_error_and_equal_scores_no_importance() -> None:
    codes = spread(30, 2)
    single = importance.importances(codes, repeats(codes[:, 0] + 0.0, 0.0, n=1), 0)
    assert np.isnan([single.alone_error, single.shuffled_error]).all()
    assert single.alone[0] > 0.9
    equal = importance.importances(codes, repeats(np.zeros(30), 0.0), 0)
    assert equal.alone.tolist() == equal.shuffled.tolist() == [0, 0]
    assert equal.predicted == 0


def test_a_bag_of_few_configurations_leaves_one_out() -> None:
    """Of three every fifth bag has all."""
    codes = np.array([[0, 1], [1, 0], [2, 1]])
    found = importance.importances(codes, repeats(codes[:, 0] + 0.0, 0.1), 0)
    assert all(np.isfinite(value).all() for value in vars(found).values())


def test_equal_arguments_give_equal_answers_and_order_of_scores_counts_alone() -> None:
    codes = spread(40, 3)
    scores = repeats(codes[:, 0] + codes[:, 2] + 1.0, 0.5)
    one, again = (importance.importances(codes, scores, 7) for _ in range(2))
    assert [value.tolist() for value in vars(one).values() if isinstance(value, np.ndarray)] == [
        value.tolist() for value in vars(again).values() if isinstance(value, np.ndarray)
    ]
    assert not np.array_equal(one.alone, importance.importances(codes, scores, 8).alone)
    exp = importance.importances(codes, [np.full(5, np.exp(own.mean())) for own in scores], 7)
    assert exp.alone.tolist() == one.alone.tolist()


def test_drawn_means_vary_as_means_do_and_equal_numbers_of_repeats_draw_together() -> None:
    draw = np.random.default_rng(5)
    scores = [draw.normal(size=3) for _ in range(400)] + [np.array([2.0])]
    means = np.array([own.mean() for own in scores])
    drawn = np.concatenate([importance._drawn_means(scores, means, seed) for seed in range(40)])
    assert (drawn[:, -1] == 2).all(), "one repeat has nothing to draw from"
    assert (drawn[:, :-1] - means[:-1]).var() == pytest.approx(1 / 3, rel=0.15)
    twice = importance._drawn_means([scores[0], scores[0] + 1], means[:1] + np.arange(2), 0)
    assert twice[:, 1] - twice[:, 0] == pytest.approx(1)


def test_codes_are_places_of_values_and_groups_of_equal_counts() -> None:
    assert importance.coded(["b", "a", "b"], False).tolist() == [1, 0, 1]
    assert importance.coded([8, 16, 8], True).tolist() == [0, 1, 0]
    many = importance.coded(np.random.default_rng(1).uniform(size=320).tolist(), True)
    assert np.bincount(many).tolist() == [20] * importance.MOST_CODES
