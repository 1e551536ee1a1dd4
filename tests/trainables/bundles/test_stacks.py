"""What differs only in rates and goes from one epoch to the same one is stacked, and learns what it learns alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from orchestrator.proposing.sharing import shared_out
from orchestrator.store.searches import Stack
from orchestrator.store.segments import Segment
from search_spaces.configuration import Configuration
from tests.support.tiny_study import TinyStudy, another
from trainables.bundles.stacks import divide_into_stacks
from trainables.bundles.work import owed_lanes
from trainables.learning.group import Group

REPEATS = (0, 1, 2)
RATES = (0.02, 0.05, 0.3)


def grid(study: TinyStudy, rates: Sequence[float] = RATES, **settings: Any) -> list[Configuration]:
    return [study.configuration(lr=lr, **settings) for lr in rates]


def wanted(
    study: TinyStudy,
    configurations: Sequence[Configuration],
    epochs: int = 3,
    repeats: tuple[int, ...] = REPEATS,
    start: int = 0,
) -> list[Segment]:
    return [Segment(study.partition, (c.id,), repeats, start, epochs) for c in configurations]


def stack(study: TinyStudy, configurations: Sequence[Configuration], epochs: int = 3) -> Segment:
    return Segment(study.partition, tuple(c.id for c in configurations), REPEATS, 0, epochs)


def widths(stacks: Sequence[Stack]) -> list[int]:
    return sorted(len(one.configurations) for one in stacks)


def test_only_what_differs_in_rates_alone_is_stacked(study: TinyStudy) -> None:
    alike = [
        study.configuration(lr=0.1),
        study.configuration(lr=0.2, momentum=0.5),
        study.configuration(lr=0.1, weight_decay=0.01),
        study.configuration(lr=0.1, weight_decay=0.01, decay_on="weights"),
    ]
    others = [
        study.configuration(batch_size=16),
        study.configuration(non_linearities=1),
        study.configuration(optimiser="adam", betas=(0.9, 0.99)),
        study.configuration(unfrozen=1),
        study.configuration(selection="accuracy"),
        study.configuration(balance="class_weights"),
    ]
    asked = [
        *wanted(study, [*alike, *others]),
        *wanted(study, alike[:1], epochs=9),
        *wanted(study, alike[:1], repeats=(0,)),
        *wanted(study, alike[:2], start=2),
    ]
    stacks = divide_into_stacks(study.bench(), asked, 1)
    assert widths(stacks) == [*[1] * 8, 2, 4]
    assert max(stacks, key=lambda one: len(one.configurations)).segments() == (
        Segment(study.partition, tuple(c.id for c in alike), REPEATS, 0, 3),
    )
    assert {part for one in stacks for whole in one.segments() for part in whole.in_turn()} == {
        lane for one in asked for lane in one.in_turn()
    }


def test_what_is_not_stacked_is_trained_in_turn(study: TinyStudy) -> None:
    configurations = [study.configuration(unfrozen=1, lr=lr) for lr in RATES] + grid(study)
    stacks = divide_into_stacks(study.bench(), wanted(study, configurations), 1)
    assert [(one.in_turn, len(one.configurations), len(one.segments())) for one in stacks] == [
        (False, 3, 1),
        *[(True, 1, 3)] * 3,
    ]
    assert all(len(lane.lanes) == 1 for lane in stacks[-1].segments())


@pytest.mark.parametrize(
    ("count", "workers", "expected"),
    [(12, 1, [12]), (12, 5, [3] * 4), (12, 7, [2] * 6), (12, 50, [1] * 12), (45, 1, [15] * 3)],
)
def test_every_worker_gets_one(study: TinyStudy, count: int, workers: int, expected: list[int]) -> None:
    asked = wanted(study, grid(study, [0.01 * (i + 1) for i in range(count)]))
    assert widths(divide_into_stacks(study.bench(), asked, workers)) == expected


@pytest.mark.parametrize(
    ("sizes", "workers", "expected"),
    [
        ((4,), 1, [(0, 1, 2)]),
        ((4,), 2, [(0,), (1, 2)]),
        ((4,), 16, [(0,), (1,), (2,)]),
        ((4, 8), 2, [(0, 1, 2)] * 2),
        ((4, 8, 16), 2, [(0, 1, 2), (0, 1, 2), (0,), (1, 2)]),
        ((4, 8, 16), 4, [(0, 1, 2)] * 3),
    ],
)
def test_no_worker_waits_for_the_last_stacks(
    study: TinyStudy, sizes: Sequence[int], workers: int, expected: list[tuple[int, ...]]
) -> None:
    asked = wanted(study, [study.configuration(batch_size=size) for size in sizes])
    stacks = divide_into_stacks(study.bench(), asked, workers)
    shared = shared_out(stacks, workers)
    assert [one.repeats for one in shared] == expected
    assert {lane for one in shared for part in one.segments() for lane in part.lanes} == {
        lane for one in asked for lane in one.lanes
    }


def test_lanes_in_turn_are_shared_out_as_they_are(study: TinyStudy) -> None:
    asked = wanted(study, [study.configuration(), study.configuration(unfrozen=1)])
    stacks = divide_into_stacks(study.bench(), asked, 2)
    assert shared_out(stacks, 2) == stacks
    assert [one.in_turn for one in stacks] == [False, True]


def test_a_part_learns_what_the_whole_learns(study: TinyStudy) -> None:
    one = study.configuration(non_linearities=1, dropout=0.3)
    study.train(one, REPEATS, 3)
    together = study.finals(one, 3)
    bench, (whole,) = study.bench(), wanted(study, [one], epochs=4)
    for part in shared_out(divide_into_stacks(bench, [whole], 2), 2):
        for segment in part.segments():
            study.train_segment(segment, bench)
    apart = study.finals(one, 4)
    assert apart.keys() == together.keys() == set(REPEATS)
    for repeat in REPEATS:
        np.testing.assert_allclose(apart[repeat].history.loss[:4], together[repeat].history.loss, rtol=1e-4)


def test_the_first_repeats_and_the_cheap_come_first(study: TinyStudy) -> None:
    head, hidden, deep = (study.configuration(**one) for one in ({}, {"non_linearities": 1}, {"unfrozen": 1}))
    later = wanted(study, [head], repeats=(10,))
    stacks = divide_into_stacks(study.bench(), [*later, *wanted(study, [deep, hidden, head])], 1)
    assert [one.configurations for one in stacks] == [(c.id,) for c in (head, hidden, deep, head)]


def test_what_costs_alike_is_spread_over_the_grid(study: TinyStudy) -> None:
    sizes = (4, 8, 16, 32, 64)
    several = [study.configuration(batch_size=size) for size in sizes]
    stacks = divide_into_stacks(study.bench(), wanted(study, several), 1)
    assert [one.configurations[0] for one in stacks] == [several[place].id for place in (0, 4, 2, 1, 3)]


@pytest.mark.parametrize("settings", [{}, {"non_linearities": 1, "dropout": 0.3}], ids=["linear", "hidden"])
def test_a_stack_learns_what_its_configurations_learn_alone(
    study: TinyStudy, tmp_path: Path, settings: dict[str, Any]
) -> None:
    configurations = grid(study, **settings)
    study.train_segment(stack(study, configurations))
    other = another(study, tmp_path / "other")
    grid(other, **settings)
    for c in configurations:
        together = study.finals(c, 3)
        for repeat, alone in other.train(c, REPEATS, 3).items():
            stacked = together[repeat]
            assert alone.history.loss == pytest.approx(stacked.history.loss, abs=1e-4)
            assert alone.meta["selected_epoch"] == stacked.meta["selected_epoch"]
            assert alone.meta["trainable_parameters"] == stacked.meta["trainable_parameters"]
    first = [study.finals(c, 3)[0].history.loss for c in configurations]
    assert first[0][0].tolist() == first[1][0].tolist(), "one repeat starts from one place"
    assert first[0][3].tolist() != first[1][3].tolist()


def test_a_diverged_configuration_is_alone_in_its_stack(study: TinyStudy) -> None:
    configurations = grid(study, (0.05, 1e37))
    segment = stack(study, configurations)
    study.train_segment(segment)
    assert owed_lanes(study.storage, segment) == []
    states = [{record.meta["state"] for record in study.finals(c, 3).values()} for c in configurations]
    assert states == [{"finished"}, {"diverged"}]


def test_weights_of_a_lane(study: TinyStudy) -> None:
    configurations = grid(study, (0.02, 0.3), non_linearities=1)
    run = study.start(stack(study, configurations))
    group: Group | None = None
    while not run.advance(0.0):
        group = run.group or group
    assert group is not None
    for lane, (configuration, repeat) in enumerate((c, r) for r in REPEATS for c in configurations):
        assert (group.lanes[lane].configuration, group.lanes[lane].repeat) == (configuration, repeat)
        weights = group.learner.weights_of(lane)
        hidden = group.learner.inputs.values.numpy() @ weights["head.0.weight"].T + weights["head.0.bias"]
        hidden = np.where(hidden > 0, hidden, configuration.head.negative_slope * hidden)
        logits = hidden @ weights["head.3.weight"].T + weights["head.3.bias"]
        rows = group.samples.scoring["valid"]
        scored = group.learner.score(torch.from_numpy(rows))[lane].numpy()
        assert np.allclose(logits[rows], scored, atol=1e-4)
