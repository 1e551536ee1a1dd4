"""The joint search: targets approached, constraints kept, the same for any order of rows."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainables.data.stratified import JointTask, stratify


def _task(amounts: np.ndarray, weights: tuple[float, float] = (1.0, 0.0), fixed: np.ndarray | None = None) -> JointTask:
    groups, classes = amounts.shape
    return JointTask(
        names=tuple(f"g{i:04}" for i in range(groups)),
        amounts=amounts.astype(float),
        targets=np.repeat([[0.70], [0.15], [0.15]], classes, axis=1),
        diversity=np.full((3, classes), 1 / 3),
        weights=weights,
        fixed=np.full(groups, -1) if fixed is None else fixed,
    )


def _objective(task: JointTask, split: np.ndarray) -> float:
    """The objective written out plainly."""
    cost = 0.0
    for k in range(task.amounts.shape[1]):
        amounts, members = task.amounts[:, k], task.amounts[:, k] > 0
        for s in range(3):
            cost += task.weights[0] * abs(task.targets[s, k] - amounts[split == s].sum() / amounts.sum())
            cost += task.weights[1] * abs(task.diversity[s, k] - members[split == s].sum() / members.sum())
    return cost


@pytest.mark.parametrize("weights", [(1.0, 0.0), (1.0, 1.0), (0.0, 1.0)])
def test_small_tasks_come_near_the_best_of_all_divisions(weights: tuple[float, float]) -> None:
    rng = np.random.default_rng(4)
    for _ in range(3):
        amounts = rng.integers(1, 40, (8, 2)) * (rng.random((8, 2)) < 0.7)
        amounts[:3] += amounts[:3] == 0
        task = _task(amounts, weights)
        member = amounts > 0
        best = min(
            _objective(task, np.array(split))
            for split in itertools.product(range(3), repeat=8)
            if all(member[np.array(split) == s].any(axis=0).all() for s in range(3))
        )
        split, cost, missing = stratify(task, seed=0)
        assert not missing
        assert cost == pytest.approx(_objective(task, split))
        assert cost <= best + 0.02


def _best(task: JointTask) -> float:
    """The least objective of all divisions that give each class a group in each split; infinite where none does."""
    groups = len(task.names)
    splits = np.array(list(itertools.product(range(3), repeat=groups)))
    member = (task.amounts > 0).astype(float)
    shares, counts = task.amounts / task.amounts.sum(axis=0), member / member.sum(axis=0)
    cost, whole = np.zeros(len(splits)), np.ones(len(splits), dtype=bool)
    for s in range(3):
        inside = (splits == s).astype(float)
        cost += task.weights[0] * np.abs(task.targets[s] - inside @ shares).sum(axis=1)
        cost += task.weights[1] * np.abs(task.diversity[s] - inside @ counts).sum(axis=1)
        whole &= (inside @ member > 0).all(axis=1)
    return float(cost[whole].min(initial=np.inf))


def test_few_groups_of_several_classes_get_the_best_of_all_divisions() -> None:
    rng = np.random.default_rng(0)
    compared = 0
    for _ in range(40):
        groups, classes = int(rng.integers(4, 9)), int(rng.integers(2, 5))
        amounts = np.ceil(rng.lognormal(2, 1, (groups, classes))) * (rng.random((groups, classes)) < 0.5)
        for k in range(classes):
            amounts[rng.permutation(groups)[:3], k] += 1
        task = _task(amounts, (1.0, float(rng.integers(2))))
        best = _best(task)
        if np.isfinite(best):
            _, cost, missing = stratify(task, seed=0)
            assert not missing
            assert cost == pytest.approx(best, abs=1e-9)
            compared += 1
    assert compared > 25


def test_a_division_that_is_taken_is_not_given_again_while_there_is_another() -> None:
    task = _task(np.array([[9, 0], [8, 3], [0, 9], [4, 4], [0, 2], [3, 0]]))
    found: list[np.ndarray] = []
    costs: list[float] = []
    for _ in range(4):
        taken = frozenset(tuple(split.tolist()) for split in found)
        split, cost, missing = stratify(replace(task, taken=taken), seed=0)
        assert not missing
        assert cost == pytest.approx(_objective(task, split))
        found.append(split)
        costs.append(cost)
    assert len({tuple(split.tolist()) for split in found}) == 4
    assert costs == sorted(costs)
    alone = _task(np.ones((3, 1)))
    alone = replace(alone, fixed=np.array([0, 1, 2]), taken=frozenset([(0, 1, 2)]))
    assert stratify(alone, seed=0)[0].tolist() == [0, 1, 2]


def test_many_groups_reach_the_targets() -> None:
    rng = np.random.default_rng(0)
    amounts = rng.poisson(3, (120, 3)) + 1
    split, cost, _ = stratify(_task(amounts), seed=1)
    assert cost < 0.01
    shares = np.stack([amounts[split == s].sum(axis=0) for s in range(3)]) / amounts.sum(axis=0)
    np.testing.assert_allclose(shares, np.repeat([[0.70], [0.15], [0.15]], 3, axis=1), atol=0.005)


def test_seeds_differ_and_each_repeats_itself() -> None:
    amounts = np.random.default_rng(2).poisson(3, (60, 2)) + 1
    first, again, other = (stratify(_task(amounts), seed)[0] for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_fixed_groups_stay_and_closed_splits_are_not_entered() -> None:
    amounts = np.random.default_rng(3).poisson(3, (30, 2)) + 1
    fixed = np.where(np.arange(30) < 5, 2, -1)
    task = _task(amounts, fixed=fixed)
    closed = JointTask(**{**task.__dict__, "open_to": (0, 1)})
    split, _, missing = stratify(closed, seed=0)
    assert not missing
    np.testing.assert_array_equal(np.flatnonzero(split == 2), np.arange(5))


def test_groups_that_cannot_give_every_class_a_group_in_each_split_are_told() -> None:
    # Any two of the four groups share a class, so all four would need splits of their own.
    amounts = np.array([[1, 1, 1, 0], [1, 1, 0, 1], [1, 0, 1, 1], [0, 1, 1, 1]])
    _, cost, missing = stratify(_task(amounts), seed=0)
    assert missing
    assert cost > 100


def test_the_start_given_is_never_made_worse() -> None:
    amounts = np.random.default_rng(5).integers(1, 50, (12, 2))
    start = [0] * 6 + [1] * 3 + [2] * 3
    task = _task(amounts, (1.0, 1.0))
    _, cost, _ = stratify(task, seed=0, start=start)
    assert cost <= _objective(task, np.array(start)) + 1e-9


@settings(max_examples=25, deadline=None)
@given(st.integers(3, 20), st.integers(1, 4), st.integers(0, 1000))
def test_each_class_with_three_groups_of_its_own_is_in_each_split(groups: int, classes: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    amounts = np.zeros((groups + 3 * classes, classes), dtype=int)
    for k in range(classes):
        amounts[3 * k : 3 * k + 3, k] = rng.integers(1, 100, 3)
    amounts[3 * classes :] = rng.integers(0, 50, (groups, classes)) + 1
    split, _, missing = stratify(_task(amounts), seed)
    assert not missing
    assert len(split) == len(amounts)
    for s in range(3):
        assert (amounts[split == s] > 0).any(axis=0).all()


def test_more_groups_than_are_searched_exhaustively_reach_both_targets() -> None:
    amounts = np.random.default_rng(6).poisson(3, (520, 2)) + 1
    split, _, _ = stratify(_task(amounts, (1.0, 0.0)), seed=0)
    shares = np.stack([amounts[split == s].sum(axis=0) for s in range(3)]) / amounts.sum(axis=0)
    np.testing.assert_allclose(shares, np.repeat([[0.70], [0.15], [0.15]], 2, axis=1), atol=0.005)
    spread, _, _ = stratify(_task(amounts, (0.0, 1.0)), seed=0)
    np.testing.assert_allclose(np.bincount(spread) / 520, [1 / 3] * 3, atol=0.005)
