"""Whether all are shown to be nearer to each other than a margin."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from orchestrator.statistics.within import within_p


def test_a_worked_figure() -> None:
    """Two configurations in three repeats: by hand over all eight flips."""
    values = np.array([[0.0, 1.0, 2.0], [0.5, 0.0, 2.0]])
    margin = 1.0
    gaps = [values[0] - values[1] + margin, values[1] - values[0] + margin]
    unit = [gap / np.sqrt((gap**2).sum()) for gap in gaps]
    least = min(one.sum() for one in unit)
    reached = [max((np.array(flip) * one).sum() for one in unit) >= least - 1e-9 for flip in product((1, -1), repeat=3)]
    assert within_p(values, margin) == pytest.approx(np.mean(reached))


def test_of_one_configuration_nothing_is_to_be_shown() -> None:
    assert within_p(np.zeros((1, 8)), 0.1) == 0.0


def test_who_trails_by_more_is_not_within() -> None:
    values = np.zeros((3, 8))
    values[2] -= 2.0
    assert within_p(values, 1.0) == 1.0
    assert within_p(values, 20.0) < 0.012


def test_repeats_that_diverged_leave_too_little_to_show() -> None:
    values = np.full((3, 8), 0.1) + np.arange(8)
    assert within_p(values, 1.0) == 1 / 256
    values[1, :5] = np.nan
    assert within_p(values, 1.0) > 0.05


def test_pairs_that_are_a_margin_apart_are_taken_for_nearer_in_five_of_hundred_at_most() -> None:
    """Four configurations, of which two trail the others by exactly the margin; 400 rounds at one look of 12."""
    generator = np.random.default_rng(2)
    ahead = np.array([0.0, 0.0, -1.0, -1.0])[:, None]
    wrong = sum(within_p(generator.normal(size=(4, 12)) * 0.05 + ahead, 1.0) <= 0.05 for _ in range(400))
    assert wrong <= 0.05 * 400
