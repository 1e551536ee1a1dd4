"""A repeat of a later stage begins with the weights that the same repeat of its parent selected."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orchestrator.store.errors import InputError
from orchestrator.store.schema import FinalRecord
from orchestrator.store.segments import Segment
from search_spaces.configuration import Configuration
from tests.support.tiny_study import TinyStudy, another, assert_same_learning, assert_same_result, make_tiny_study
from trainables.bundles import kept_weights
from trainables.bundles.trained import starts_of, trained
from trainables.bundles.workbench import Workbench
from trainables.learning.material import Start

EPOCHS = 4
HEAD: dict[str, Any] = {"lr": 0.3, "non_linearities": 1, "dropout": 0.4, "momentum": 0.9}
DEEP: dict[str, Any] = {"lr": 0.02, "unfrozen": 2, "momentum": 0.9}
MOVING: dict[str, Any] = {
    **DEEP, "head": "widths", "widths": (8,), "dropout": 0.25, "norms": "moving", "augmentation": "flips",
}  # fmt: skip
AVERAGED: dict[str, Any] = {**HEAD, "average": 0.6, "optimiser": "adamw", "lr": 0.02}
CASES = [
    pytest.param(HEAD, {"lr": 0.05}, id="stacked"),
    pytest.param(DEEP, {"lr": 0.002}, id="in turn"),
    pytest.param(MOVING, {"lr": 0.002}, id="moving statistics"),
    pytest.param(AVERAGED, {"lr": 0.002}, id="averages"),
]


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> TinyStudy:
    return make_tiny_study(tmp_path_factory.mktemp("images"))


def child_of(parent: Configuration, epochs: int, **settings: Any) -> dict[str, Any]:
    return {**settings, "parent": f"{parent.id}:{epochs}"}


def stored(study: TinyStudy, parent: Configuration, settings: dict[str, Any], **changes: Any) -> Configuration:
    return study.configuration(**child_of(parent, EPOCHS, **{**settings, **changes}))


def scores_of(record: FinalRecord, epoch: int) -> list[Any]:
    return [record.history.loss[epoch].tolist(), record.history.statistics[epoch].tolist()]


@pytest.mark.parametrize(("settings", "changes"), CASES)
def test_epoch_0_scores_what_the_parent_selected(
    images: TinyStudy, tmp_path: Path, settings: dict[str, Any], changes: dict[str, Any]
) -> None:
    study = another(images, tmp_path)
    parent = study.configuration(**settings)
    before = study.train(parent, (0, 1), EPOCHS)
    assert any(record.meta["selected_epoch"] > 0 for record in before.values()), "nothing was learned"
    child = stored(study, parent, settings, **changes)
    after = study.train(child, (0, 1), EPOCHS)
    for repeat in (0, 1):
        selected = before[repeat].meta["selected_epoch"]
        assert scores_of(after[repeat], 0) == scores_of(before[repeat], selected)
        assert not after[repeat].meta["devices_mixed"]
    assert any(scores_of(after[r], EPOCHS) != scores_of(before[r], EPOCHS) for r in (0, 1)), "it went the same way"


def test_a_stage_may_train_more_than_its_parent(images: TinyStudy, tmp_path: Path) -> None:
    """A head that was trained on cached features, below which layers are trained next."""
    study = another(images, tmp_path)
    probe = study.configuration(lr=0.1)
    before = study.train(probe, (0,), EPOCHS)[0]
    child = stored(study, probe, {"lr": 0.01, "unfrozen": 2})
    after = study.train(child, (0,), EPOCHS)[0]
    selected = before.meta["selected_epoch"]
    assert selected > 0
    np.testing.assert_allclose(after.history.loss[0], before.history.loss[selected], rtol=1e-4)
    weights = trained(study.bench(), study.partition, child.id, [0])[0]
    assert weights.is_same
    assert any(name.startswith("body.") for name in weights.weights)


def test_lanes_of_one_stack_begin_each_with_its_own_repeat(images: TinyStudy, tmp_path: Path) -> None:
    study = another(images, tmp_path)
    parent = study.configuration(**HEAD)
    before = study.train(parent, (0, 1), EPOCHS)
    children = [stored(study, parent, HEAD, lr=lr) for lr in (0.05, 0.01)]
    study.train_segment(Segment(study.partition, tuple(child.id for child in children), (0, 1), 0, EPOCHS))
    for child in children:
        for repeat, record in study.finals(child, EPOCHS).items():
            selected = before[repeat].history.loss[before[repeat].meta["selected_epoch"]]
            np.testing.assert_allclose(record.history.loss[0], selected, rtol=1e-5)


def test_what_is_kept_of_the_parent_is_not_trained_again(
    images: TinyStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All its repeats that lie in one stack are kept when the first repeat of the stage needs its own."""
    study = another(images, tmp_path)
    parent = study.configuration(**HEAD)
    study.train(parent, (0, 1, 2), EPOCHS)
    child = stored(study, parent, HEAD, lr=0.05)
    first, second = (Segment(study.partition, (child.id,), (repeat,), 0, EPOCHS) for repeat in (0, 2))
    study.train_segment(first)
    assert {one.repeat for one in kept_weights.in_bundle(study.storage, study.key(parent))} == {0, 1, 2}
    monkeypatch.setattr("trainables.bundles.trained.open_group", lambda *_: pytest.fail("was trained again"))
    study.train_segment(second)


def test_without_room_for_weights_the_stage_is_the_same(
    images: TinyStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for name, room in (("with", 10**9), ("without", 0)):
        monkeypatch.setattr(kept_weights, "DEFAULT_BUDGET_BYTES", room)
        study = another(images, tmp_path / name)
        parent = study.configuration(**HEAD)
        study.train(parent, (0, 1), EPOCHS)
        found.append(study.train(stored(study, parent, HEAD, lr=0.05), (0, 1), EPOCHS))
        assert bool(kept_weights.in_partition(study.storage, study.partition)) == (room > 0)
    for repeat in (0, 1):
        assert_same_result(found[0][repeat], found[1][repeat])


@pytest.mark.parametrize("settings", [HEAD, MOVING], ids=["stacked", "in turn"])
def test_a_stage_that_is_interrupted_goes_on_bit_for_bit(
    images: TinyStudy, tmp_path: Path, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, broken = another(images, tmp_path / "a"), another(images, tmp_path / "b")
    for study in (whole, broken):
        parent = study.configuration(**settings)
        study.train(parent, (0, 1), EPOCHS)
        child = stored(study, parent, settings, lr=0.004)
    expected = whole.train(child, (0, 1), EPOCHS)
    for segment in broken.segments(child, (0, 1), EPOCHS):
        for steps in (0, 3):  # before epoch 0 is scored, and within an epoch
            run = broken.start(segment)
            for _ in range(steps):
                run.advance(0.0)
            run.stop()
        with monkeypatch.context() as patch:
            if steps:
                patch.setattr(
                    "trainables.bundles.segment_run.starts_of", lambda *_: pytest.fail("asked for the parent")
                )
            broken.train_segment(segment)
    for repeat, record in broken.finals(child, EPOCHS).items():
        assert_same_result(record, expected[repeat])


def test_a_repeat_whose_parent_diverged_has_diverged(images: TinyStudy, tmp_path: Path) -> None:
    study = another(images, tmp_path)
    parent = study.configuration(lr=1e30, non_linearities=1)
    study.train(parent, (0, 1), EPOCHS)
    child = stored(study, parent, {"non_linearities": 1, "lr": 0.01})
    study.train(child, (0, 1), EPOCHS)
    before, after = study.finals(parent, EPOCHS), study.finals(child, EPOCHS)
    for repeat in (0, 1):
        assert before[repeat].meta["state"] == after[repeat].meta["state"] == "diverged"
        assert after[repeat].meta["diverged_epoch"] == after[repeat].meta["selected_epoch"] == 0
        assert scores_of(after[repeat], 0) == scores_of(before[repeat], 0)
        assert len(after[repeat].history.loss) == 1
        assert np.array_equal(after[repeat].logits, before[repeat].logits)


def test_a_stage_of_a_stage_is_trained_again_from_nothing_kept(images: TinyStudy, tmp_path: Path) -> None:
    study = another(images, tmp_path)
    first = study.configuration(**HEAD)
    study.train(first, (0,), EPOCHS)
    second = stored(study, first, HEAD, lr=0.05)
    study.train(second, (0,), EPOCHS)
    third = stored(study, second, HEAD, lr=0.01)
    record = study.train(third, (0,), EPOCHS)[0]
    kept_weights.retain(study.storage, study.partition, [], 0)
    assert trained(study.bench(), study.partition, third.id, [0])[0].is_same
    assert record.meta["state"] == "finished"


def test_more_epochs_of_the_parent_change_nothing(images: TinyStudy, tmp_path: Path) -> None:
    study, other = another(images, tmp_path / "a"), another(images, tmp_path / "b")
    found = []
    for one, epochs in ((study, EPOCHS), (other, EPOCHS + 3)):
        parent = one.configuration(**HEAD)
        one.train(parent, (0,), EPOCHS)
        one.train(parent, (0,), epochs)
        found.append(one.train(stored(one, parent, HEAD, lr=0.05), (0,), EPOCHS)[0])
    assert_same_result(*found)


def test_a_parent_without_a_result_is_named(images: TinyStudy, tmp_path: Path) -> None:
    study = another(images, tmp_path)
    parent = study.configuration(**HEAD)
    study.train(parent, (0,), EPOCHS - 1)
    child = stored(study, parent, HEAD, lr=0.05)
    with pytest.raises(InputError, match="expected a result with 4 epochs of repeats 0, from which a later stage"):
        study.train(child, (0,), EPOCHS)


def test_of_a_stack_only_the_lanes_whose_parent_diverged_have(
    images: TinyStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = {}
    for name, diverged in (("none", ()), ("first", (0,))):
        study = another(images, tmp_path / name)
        parent = study.configuration(**HEAD)
        study.train(parent, (0, 1), EPOCHS)
        child = stored(study, parent, HEAD, lr=0.05)

        def marked(bench: Workbench, segment: Segment, which: tuple[int, ...] = diverged) -> list[Start]:
            starts = starts_of(bench, segment)
            return [
                start._replace(diverged=lane.repeat in which)
                for start, lane in zip(starts, segment.lanes, strict=False)
            ]

        monkeypatch.setattr("trainables.bundles.segment_run.starts_of", marked)
        study.train(child, (0, 1), EPOCHS)
        found[name] = study.finals(child, EPOCHS)
    assert [found["first"][repeat].meta["state"] for repeat in (0, 1)] == ["diverged", "finished"]
    assert_same_learning(found["first"][1], found["none"][1])
    assert scores_of(found["first"][0], 0) == scores_of(found["none"][0], 0)


def test_a_head_that_was_fitted_is_gone_on_from_in_steps(images: TinyStudy, tmp_path: Path) -> None:
    study = another(images, tmp_path)
    parent = study.configuration(head="logistic")
    study.train(parent, (0,), 1)
    before = study.finals(parent, 1)[0]
    child = study.configuration(parent=f"{parent.id}:1", lr=0.001)
    after = study.train(child, (0,), EPOCHS)[0]
    assert before.meta["selected_epoch"] == 1
    np.testing.assert_allclose(after.history.loss[0], before.history.loss[1], rtol=1e-4)
