"""Bundles that differ only in rates are trained in one stack, whoever goes on with it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from orchestrator.store.leases import Lease, StaleWatch, current_lease
from orchestrator.store.schema import FinalRecord, Recipe, parse_toml
from search_spaces.configuration import Configuration
from tests.support.tiny_study import TinyStudy, another, assert_same_result
from trainables.bundles import attempts, checkpoints
from trainables.bundles.bundle import BundleRun
from trainables.bundles.failures import SupersededError
from trainables.bundles.stacks import Stack, form_stacks
from trainables.bundles.work import Work, owed_repeats
from trainables.bundles.workbench import Workbench
from trainables.learning.group import Group
from trainables.learning.learner import Learner

REPEATS = (0, 1, 2)
RATES = (0.02, 0.05, 0.3)


def grid(study: TinyStudy, rates: Sequence[float] = RATES, **settings: Any) -> list[Configuration]:
    return [study.configuration(lr=lr, **settings) for lr in rates]


def works_of(
    study: TinyStudy, configurations: Sequence[Configuration], epochs: int = 3, repeats: tuple[int, ...] = REPEATS
) -> list[Work]:
    return [Work(study.key(c), repeats, epochs) for c in configurations]


def start(study: TinyStudy, bench: Workbench, stack: Stack) -> BundleRun:
    leases = []
    for work in stack:
        lease = current_lease(study.storage, work.key)
        assert StaleWatch().is_free(work.key, lease), "the bundle is leased"
        taken = Lease.take(study.storage, work.key, lease.number if lease else 0, "cpu")
        assert taken is not None
        leases.append(taken)
    return BundleRun.begin(bench, stack, leases)


def train(study: TinyStudy, works: Sequence[Work], workers: int = 1) -> dict[str, dict[int, FinalRecord]]:
    """As the launcher does: divide, train each, divide what is left."""
    bench = study.bench()
    while left := [work for work in works if owed_repeats(study.storage, work)]:
        for stack in form_stacks(bench, works, left, workers):
            run = start(study, bench, stack)
            try:
                while not run.advance(60.0):
                    pass
            except SupersededError:
                break
    configurations = {work.key.configuration: bench.configuration(work.key.configuration) for work in works}
    return {id_: study.finals(c, works[0].epochs) for id_, c in configurations.items()}


def assert_same(found: dict[str, dict[int, FinalRecord]], expected: dict[str, dict[int, FinalRecord]]) -> None:
    assert found.keys() == expected.keys()
    for configuration, finals in expected.items():
        assert sorted(found[configuration]) == sorted(finals)
        for repeat, final in finals.items():
            assert_same_result(found[configuration][repeat], final)


def recipe_of(study: TinyStudy, work: Work) -> Recipe:
    return parse_toml(Recipe, study.storage.read(work.key.recipe), "recipe")


def test_only_what_differs_in_rates_alone_is_stacked(study: TinyStudy) -> None:
    alike = [
        study.configuration(lr=0.1),
        study.configuration(lr=0.2, momentum=0.5),
        study.configuration(lr=0.1, weight_decay=0.01),
    ]
    others = [
        study.configuration(batch_size=16),
        study.configuration(non_linearities=1),
        study.configuration(optimiser="adam", betas=(0.9, 0.99)),
        study.configuration(unfrozen=1),
        study.configuration(selection="accuracy"),
        study.configuration(balance="class_weights"),
    ]
    fresh = works_of(study, [*alike, *others])
    longer, fewer = Work(study.key(alike[0]), REPEATS, 9), Work(study.key(alike[0]), (0,), 3)
    stacks = form_stacks(study.bench(), [*fresh, longer, fewer], [*fresh, longer, fewer], 1)
    assert sorted(map(len, stacks)) == [*[1] * 8, 3]
    assert set(max(stacks, key=len)) == set(fresh[:3])
    assert {work for stack in stacks for work in stack} == {*fresh, longer, fewer}


@pytest.mark.parametrize(
    ("bundles", "workers", "widths"),
    [(12, 1, [12]), (12, 5, [3] * 4), (12, 7, [2] * 6), (12, 50, [1] * 12), (45, 1, [15] * 3)],
)
def test_every_worker_gets_one(study: TinyStudy, bundles: int, workers: int, widths: list[int]) -> None:
    works = works_of(study, grid(study, [0.01 * (i + 1) for i in range(bundles)]))
    assert sorted(map(len, form_stacks(study.bench(), works, works, workers))) == widths


def test_what_is_finished_does_not_change_how_the_rest_is_divided(study: TinyStudy) -> None:
    """Else a search that was interrupted would have other last bits than an unbroken one."""
    works = works_of(study, [*grid(study), *grid(study, batch_size=16)])
    whole = form_stacks(study.bench(), works, works, 2)
    assert [len(stack) for stack in whole] == [3, 3]
    train(study, whole[0], workers=2)
    left = [work for work in works if owed_repeats(study.storage, work)]
    assert form_stacks(study.bench(), works, left, 2) == whole[1:]
    assert form_stacks(study.bench(), works, whole[1][1:], 2) == [whole[1][1:]]


def test_the_longest_come_first(study: TinyStudy) -> None:
    small, large = study.configuration(batch_size=4), study.configuration(batch_size=64)
    deep, headed = study.configuration(unfrozen=1), study.configuration(non_linearities=1, batch_size=64)
    later = Work(study.key(small).__class__(study.partition, deep.id, 1), (10,), 3)
    works = [later, *works_of(study, [large, small, headed, deep])]
    stacks = form_stacks(study.bench(), works, works, 1)
    assert [stack[0].key.configuration for stack in stacks] == [deep.id, headed.id, small.id, large.id, deep.id]


@pytest.mark.parametrize("settings", [{}, {"non_linearities": 1, "dropout": 0.3}], ids=["linear", "hidden"])
def test_a_stack_learns_what_its_bundles_learn_alone(
    study: TinyStudy, tmp_path: Path, settings: dict[str, Any]
) -> None:
    works = works_of(study, grid(study, **settings))
    together = train(study, works)
    assert recipe_of(study, works[0]).with_bundles == tuple(str(w.key) for w in works)
    other = another(study, tmp_path / "other")
    grid(other, **settings)
    for work in works:
        for repeat, alone in train(other, [work])[work.key.configuration].items():
            stacked = together[work.key.configuration][repeat]
            assert alone.history.loss == pytest.approx(stacked.history.loss, abs=1e-4)
            assert alone.meta["selected_epoch"] == stacked.meta["selected_epoch"]
            assert alone.meta["trainable_parameters"] == stacked.meta["trainable_parameters"]
    first = [together[work.key.configuration][0].history.loss for work in works]
    assert first[0][0].tolist() == first[1][0].tolist(), "one repeat starts from one place"
    assert first[0][3].tolist() != first[1][3].tolist()


def test_lost_anywhere_a_stack_ends_in_the_same_bits(
    study: TinyStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Processes that vanish without a word, at first before they wrote anything."""
    monkeypatch.setattr(checkpoints, "WRITING_SHARE", float("inf"))
    settings = {"non_linearities": 1, "dropout": 0.3}
    works = works_of(study, grid(study, **settings), epochs=4)
    unbroken = train(study, works)
    other = another(study, tmp_path / "other")
    grid(other, **settings)
    generator, bench, lost = np.random.default_rng(1), other.bench(), 0
    while left := [work for work in works if owed_repeats(other.storage, work)]:
        (stack,) = form_stacks(bench, works, left, 1)
        leases = []
        for work in stack:
            lease = current_lease(other.storage, work.key)
            taken = Lease.take(other.storage, work.key, lease.number if lease else 0, "cpu")
            assert taken is not None
            leases.append(taken)
        run = BundleRun.begin(bench, stack, leases)
        lost += not any(run.advance(0.0) for _ in range(int(generator.integers(1, 14))))
    assert lost > 2
    assert_same(
        {w.key.configuration: other.finals(bench.configuration(w.key.configuration), 4) for w in works}, unbroken
    )


def test_lost_among_recipes_or_records_it_goes_on_with_all_lanes(study: TinyStudy, tmp_path: Path) -> None:
    works = works_of(study, grid(study))
    unbroken = train(study, works)
    other = another(study, tmp_path / "other")
    grid(other)
    bench = other.bench()
    (stack,) = form_stacks(bench, works, works, 1)
    run = start(other, bench, stack)
    run.advance(0.0)
    run.stop()
    other.storage.delete(works[2].key.recipe)
    assert form_stacks(bench, works, works, 1) == [tuple(works)]
    train(other, works)
    for repeat in REPEATS:
        other.storage.delete(works[1].key.final(repeat, 3))
    for name in [c.path for c in attempts.checkpoints(other.storage, works[0].key)]:
        other.storage.delete(name)
    assert_same(train(other, works), unbroken)


def test_one_of_a_stack_alone_goes_on_with_all_lanes_and_writes_its_own_records(study: TinyStudy) -> None:
    """Another search asked for one of them only."""
    works = works_of(study, grid(study), epochs=6)
    bench = study.bench()
    run = start(study, bench, tuple(works))
    while run.group is None or run.group.epoch < 2:
        run.advance(0.0)
    run.stop()
    widths = []
    (stack,) = form_stacks(bench, works[1:2], works[1:2], 1)
    run = start(study, bench, stack)
    while not run.advance(0.0):
        widths.append(len(run.group.lanes) if run.group else 0)
    assert set(widths) - {0} == {9}
    assert sorted(study.finals(bench.configuration(works[1].key.configuration), 6)) == list(REPEATS)
    assert study.finals(bench.configuration(works[0].key.configuration), 6) == {}


def test_more_repeats_and_more_epochs_keep_the_stack(study: TinyStudy) -> None:
    configurations = grid(study)
    train(study, works_of(study, configurations, repeats=(0, 1)))
    more = works_of(study, configurations, repeats=(0, 1, 2, 3))
    assert [len(stack) for stack in form_stacks(study.bench(), more, more, 1)] == [3]
    finals = train(study, more)[configurations[0].id]
    assert finals[3].meta["with_repeats"] == [2, 3]
    longer = train(study, works_of(study, configurations, epochs=5, repeats=(0, 1, 2, 3)))
    for record in longer[configurations[2].id].values():
        assert record.history.epochs == 5
        assert len(record.meta["attempts"]) == 2, "it went on from the kept checkpoint"


def test_out_of_memory_halves_the_stack(study: TinyStudy, monkeypatch: pytest.MonkeyPatch) -> None:
    works = works_of(study, grid(study, (0.01, 0.02, 0.03, 0.04, 0.05)))
    real, widths = Learner.train, []

    def step(self: Learner, *arguments: Any) -> None:
        widths.append(self.heads.configurations)
        if self.heads.configurations > 2:
            raise torch.OutOfMemoryError("too much")
        real(self, *arguments)

    monkeypatch.setattr(Learner, "train", step)
    found = train(study, works)
    assert list(dict.fromkeys(widths)) == [5, 3, 2, 1], "five; three and two; of the three two and one"
    assert all(sorted(finals) == list(REPEATS) for finals in found.values())
    assert [len(recipe_of(study, work).with_bundles) for work in works] == [2, 2, 0, 2, 2]
    assert study.storage.read(works[4].key.failure(1))


def test_of_two_that_divide_otherwise_the_later_gives_way(study: TinyStudy) -> None:
    works, bench = works_of(study, grid(study)), study.bench()
    start(study, bench, tuple(works[:2])).stop()
    with pytest.raises(SupersededError, match="another stack"):
        start(study, bench, (works[2], works[1]))
    assert all((lease := current_lease(study.storage, w.key)) is None or lease.is_released for w in works)
    assert [len(stack) for stack in form_stacks(bench, works, works, 1)] == [2, 1]


def test_a_diverged_configuration_is_alone_in_its_stack(study: TinyStudy) -> None:
    configurations = grid(study, (0.05, 1e37))
    found = train(study, works_of(study, configurations))
    assert {record.meta["state"] for record in found[configurations[0].id].values()} == {"finished"}
    assert {record.meta["state"] for record in found[configurations[1].id].values()} == {"diverged"}


def test_weights_of_a_lane(study: TinyStudy) -> None:
    configurations, bench = grid(study, (0.02, 0.3), non_linearities=1), study.bench()
    stack = tuple(works_of(study, configurations))
    run = start(study, bench, stack)
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
