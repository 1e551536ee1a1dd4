"""The front of two goals against a plain comparison of all pairs, and its uncertainty."""

from __future__ import annotations

import numpy as np
import pytest

from orchestrator.statistics.pareto import front_chances, on_front


def plain(goals: np.ndarray) -> list[bool]:
    return [not any((other >= one).all() and (other > one).any() for other in goals) for one in goals]


@pytest.mark.parametrize("seed", range(20))
def test_the_front_is_what_no_pair_beats(seed: int) -> None:
    draw = np.random.default_rng(seed)
    goals = draw.integers(0, 6, size=(3, 25, 2)).astype(float)  # with ties and twins
    assert on_front(goals).tolist() == [plain(one) for one in goals]
    continuous = draw.normal(size=(25, 2))
    assert on_front(continuous).tolist() == plain(continuous)


def test_chances_follow_the_repeats() -> None:
    sure = np.array([[1.0, 1.0]] * 5)
    beaten = np.array([[0.0, 0.0]] * 5)
    assert front_chances([sure, beaten], 0).tolist() == [1.0, 0.0]
    draw = np.random.default_rng(1)
    noise = draw.normal(size=5)
    one, other = (np.stack([place + noise, np.zeros(5)], axis=1) for place in (0.1, 0.0))
    assert front_chances([one, other], 0).tolist() == [1.0, 0.0], "repeats that vary together are drawn together"
    apart = np.stack([draw.permutation(noise), np.zeros(5)], axis=1)
    chances = front_chances([one, apart], 0)
    assert 0.2 < chances[0] < 1.0
    assert chances.sum() == pytest.approx(1.0)
    assert front_chances([one, apart], 0).tolist() == chances.tolist()
    assert front_chances([one, apart[:3]], 0).shape == (2,), "with other numbers of repeats"
