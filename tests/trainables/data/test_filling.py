"""The worked figures of the neuroblastoma study, and what holds for fillings of any sizes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.distance_map import distance_map
from trainables.data.filling import Filling, distance, ifp, ifpo, psp

EXAMPLE = [162, 151, 98, 60, 39, 29, 7, 7, 6, 5, 5, 3, 3, 3, 3, 1]
SIZES = st.lists(st.integers(1, 500), min_size=1, max_size=24)


def test_psp_takes_the_largest_families_first() -> None:
    found = psp(EXAMPLE)
    assert found.families == (3, 2, 11)
    assert found.split == (0,) * 3 + (1,) * 2 + (2,) * 11
    assert found.mu is None


def test_ifp_reproduces_the_worked_example() -> None:
    found = ifp(EXAMPLE)
    assert found.sizes == (420, 82, 80)
    assert [round(100 * share, 1) for share in found.shares] == [72.2, 14.1, 13.7]
    assert found.families == (6, 5, 5)
    assert found.epsilon == 0


def test_six_equal_families_need_an_overfill_of_one_sixtieth() -> None:
    assert ifp([7] * 6).families == (6, 0, 0)
    assert ifp([7] * 6).distance.total == pytest.approx(0.322, abs=5e-4)
    found = ifpo([7] * 6)
    assert found.epsilon == pytest.approx(1 / 60)
    assert found.families == (4, 1, 1)
    assert found.distance.total == pytest.approx(0.122, abs=5e-4)


def test_three_equal_families_go_beyond_the_usual_range_of_epsilon() -> None:
    found = ifpo([10, 10, 10])
    assert sorted(found.split) == [0, 1, 2]
    assert found.epsilon == pytest.approx(1 / 3 - 0.15)


def test_ties_take_the_smallest_epsilon_although_a_later_one_is_as_good() -> None:
    # (4, 1, 1) at ε = 1/60 and (2, 2, 2) at ε = 11/60 are both at D = 0.1222.
    assert distance((2 / 3, 1 / 6, 1 / 6), (2 / 3, 1 / 6, 1 / 6)).total == pytest.approx(
        distance((1 / 3,) * 3, (1 / 3,) * 3).total
    )
    assert ifpo([1] * 6).families == (4, 1, 1)


def test_the_parts_of_the_distance_are_apart_and_weighted() -> None:
    found = distance((0.8, 0.1, 0.1), (0.5, 0.25, 0.25))
    assert found.proportion == pytest.approx(0.2 / 3)
    assert found.diversity == pytest.approx((1 / 6 + 2 / 12) / 3)
    assert found.total == pytest.approx((0.2 + 1 / 3) / 6)
    heavier = distance((0.8, 0.1, 0.1), (0.5, 0.25, 0.25), weights=(3.0, 1.0))
    assert heavier.total == pytest.approx((3 * found.proportion + found.diversity) / 4)


def test_weights_change_what_ifpo_chooses() -> None:
    sizes = list(range(20, 50))
    proportional = ifpo(sizes, weights=(1.0, 0.0))
    diverse = ifpo(sizes, weights=(0.0, 1.0))
    assert proportional.distance.proportion < diverse.distance.proportion
    assert diverse.distance.diversity < proportional.distance.diversity


def test_the_map_has_the_two_regions_of_six_equal_families() -> None:
    epsilons = [0.1, 0.0, 0.0166, 0.0167]
    proportion, diversity = distance_map([5] * 6, [0.01, 0.22, 1.0], epsilons)
    assert proportion.shape == diversity.shape == (3, 4)
    total = (proportion + diversity) / 2
    np.testing.assert_allclose(total, np.tile([0.12222, 0.32222, 0.32222, 0.12222], (3, 1)), atol=1e-4)
    np.testing.assert_allclose(diversity[0], [0.2222, 0.4444, 0.4444, 0.2222], atol=1e-4)


def test_a_large_class_is_filled_in_coarse_steps() -> None:
    rng = np.random.default_rng(0)
    sizes = rng.integers(1, 1000, 400).tolist()
    found = ifpo(sizes)
    assert found.distance.total <= ifp(sizes).distance.total
    assert found.distance.proportion < 0.02


@pytest.mark.parametrize("sizes", [[], [3, 0], [3, -1]])
def test_sizes_must_be_positive(sizes: list[int]) -> None:
    with pytest.raises(ValueError, match="positive size"):
        ifpo(sizes)


@settings(deadline=None)
@given(SIZES)
def test_every_family_is_placed_and_the_totals_agree(sizes: list[int]) -> None:
    for method in (psp, ifp, ifpo):
        found = method(sizes)
        assert len(found.split) == len(sizes)
        assert set(found.split) <= {0, 1, 2}
        assert found.sizes == tuple(
            sum(size for size, s in zip(sizes, found.split, strict=True) if s == k) for k in range(3)
        )
        assert found.families == tuple(found.split.count(k) for k in range(3))


@settings(deadline=None)
@given(SIZES)
def test_valid_and_test_stay_within_target_plus_epsilon(sizes: list[int]) -> None:
    for found in (ifp(sizes), ifpo(sizes)):
        assert max(found.shares[1:]) <= 0.15 + found.epsilon + 1e-9
        if found.epsilon > 0:
            assert max(found.shares[1:]) == pytest.approx(0.15 + found.epsilon)


@settings(deadline=None)
@given(SIZES)
def test_no_grid_beats_the_breakpoints(sizes: list[int]) -> None:
    found = ifpo(sizes)
    if not _complete(found) or found.epsilon > 0.1:
        return
    proportion, diversity = distance_map(sizes, np.linspace(0.01, 1, 40).tolist(), np.linspace(0, 0.1, 80).tolist())
    grid = (proportion + diversity) / 2
    # Only a filling without a family in some split may lie lower, and its diversity part is 2/9 or more.
    complete = grid[diversity < 2 / 9 - 1e-9]
    assert found.distance.total <= complete.min(initial=np.inf) + 1e-9
    if _complete(ifp(sizes)):
        assert found.distance.total <= ifp(sizes).distance.total + 1e-12


@settings(deadline=None)
@given(SIZES, st.floats(0.01, 1), st.floats(0, 0.3))
def test_the_map_agrees_with_itself_at_single_points(sizes: list[int], mu: float, epsilon: float) -> None:
    grid = np.linspace(0, 0.3, 25).tolist()
    proportion, diversity = distance_map(sizes, [mu], [*grid, epsilon])
    alone = distance_map(sizes, [mu], [epsilon])
    assert (proportion[0, -1], diversity[0, -1]) == (alone[0][0, 0], alone[1][0, 0])


@settings(deadline=None)
@given(st.lists(st.integers(1, 500), min_size=3, max_size=24))
def test_the_order_of_input_plays_no_part(sizes: list[int]) -> None:
    there, back = ifpo(sizes), ifpo(sizes[::-1])
    assert there.sizes == back.sizes
    assert there.epsilon == back.epsilon
    assert there.mu == back.mu


def _complete(found: Filling) -> bool:
    return all(found.families)
