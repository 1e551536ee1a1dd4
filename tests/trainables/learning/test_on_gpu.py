"""On a GPU lanes learn what they learn on a CPU, and recorded steps give the bits of those that run as written."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from search_spaces.configuration import Configuration
from tests.support.groups import saved
from tests.support.tiny_study import TinyStudy
from trainables.bundles.recipe import is_stacked, scoring_batch
from trainables.bundles.workbench import Workbench
from trainables.features.store import StoredInputs
from trainables.learning.group import Group
from trainables.learning.learner import lanes_of
from trainables.learning.material import begin_group
from trainables.learning.replay import Replay

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")]

EPOCHS = 3
ADAM = {"betas": (0.9, 0.999), "lr": 1e-3, "non_linearities": 2, "dropout": 0.3}
LEARNED: dict[str, dict[str, Any]] = {
    "linear": {"lr": 0.02},
    "deep head": {"lr": 0.02, "non_linearities": 2, "dropout": 0.3, "weight_decay": 0.01},
    "adam": {**ADAM, "optimiser": "adam"},
    "adamw": {**ADAM, "optimiser": "adamw", "weight_decay": 0.1, "balance": "class_weights"},
    "unfrozen": {"lr": 0.01, "unfrozen": 2},
    "unfrozen, adam": {**ADAM, "optimiser": "adam", "unfrozen": 1},
    "unfrozen, bfloat16": {"lr": 0.01, "unfrozen": 2, "arithmetic": "bf16"},
    "unfrozen, TF32": {"lr": 0.01, "unfrozen": 2, "arithmetic": "tf32"},
    "batch norm": {"lr": 0.02, "head": "widths", "widths": (24, 8), "dropout": 0.25},
    "moving, mixed": {"lr": 0.01, "unfrozen": 2, "norms": "moving", "augmentation": "mixup"},
    "clipped": {"lr": 0.2, "non_linearities": 1, "momentum": 0.9, "clip": 0.3},
    "clipped, unfrozen": {"lr": 0.05, "unfrozen": 2, "clip": 0.3},
    "focal": {"lr": 0.02, "loss.name": "focal", "loss.gamma": 0.5},
    "adjusted, step": {"lr": 0.02, "loss.name": "logit_adjusted", "schedule": "step", "schedule.length": 3},
    "averaged": {"lr": 0.05, "non_linearities": 1, "momentum": 0.9, "average": 0.7},
    "averaged, moving": {"lr": 0.01, "unfrozen": 2, "norms": "moving", "average": 0.7},
    "flipped": {"lr": 0.02, "augmentation": "flips"},
    "changed and mixed": {"lr": 0.02, "augmentation": ("crop", "flips", "contrast", "mixup", "cutmix")},
    "features mixed": {"lr": 0.02, "augmentation": "feature_mixup"},
}


@pytest.fixture(scope="module", autouse=True)
def deterministic() -> None:
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False


@pytest.fixture(params=LEARNED.values(), ids=LEARNED.keys())
def several(request: pytest.FixtureRequest, study: TinyStudy) -> list[Configuration]:
    """What is stacked: two learning rates of a head, or one configuration of a network."""
    first = study.configuration(**request.param)
    if not is_stacked(first, 96, torch.device("cuda")):
        return [first]
    return [first, study.configuration(**{**request.param, "lr": 0.5 * first.optimiser.lr})]


def begun(study: TinyStudy, configurations: list[Configuration], name: str = "cuda") -> Group:
    device = torch.device(name)
    bench = Workbench(study.storage, study.places, device)
    first = configurations[0]
    material = bench.material(first, study.partition)
    repeats = [0, 3, 4] if is_stacked(first, material.width, device) else [4]
    scored = scoring_batch(first, 1000, device)
    return begin_group(material, lanes_of(configurations, repeats), scored, EPOCHS, device)


def assert_equal(one: Group, two: Group) -> None:
    for lane in range(len(one.lanes)):
        assert np.array_equal(one.history(lane).loss, two.history(lane).loss)
    for name, values in one.learner.state().items():
        assert np.array_equal(values, two.learner.state()[name]), name


def test_recorded_steps_give_the_bits_of_written_ones(study: TinyStudy, several: list[Configuration]) -> None:
    recorded, written = begun(study, several), begun(study, several)
    written.learner._replay._refused = True
    recorded.advance(float("inf"))
    written.advance(float("inf"))
    assert len(recorded.learner._replay._graphs) == 2, "whole batches, and the smaller one at the end of an epoch"
    assert not written.learner._replay._graphs
    assert_equal(recorded, written)


def test_a_stop_within_an_epoch_changes_no_bit(study: TinyStudy, several: list[Configuration]) -> None:
    unbroken, stopped, resumed = begun(study, several), begun(study, several), begun(study, several)
    unbroken.advance(float("inf"))
    while (stopped.epoch, stopped.position) != (1, 16):
        stopped.advance(0.0)
    resumed.load(saved(stopped))
    resumed.advance(float("inf"))
    assert_equal(unbroken, resumed)


def test_going_on_from_a_state_changes_no_bit(study: TinyStudy, several: list[Configuration]) -> None:
    unbroken, before, resumed = begun(study, several), begun(study, several), begun(study, several)
    unbroken.advance(float("inf"))
    before.epochs = 1
    before.advance(float("inf"))
    state = saved(before)
    resumed.go_on_from(1, [state.lane(lane.configuration.id, lane.repeat) for lane in resumed.lanes])
    resumed.advance(float("inf"))
    assert_equal(unbroken, resumed)


def test_a_gpu_learns_what_a_cpu_learns(study: TinyStudy, several: list[Configuration]) -> None:
    here, there = begun(study, several), begun(study, several, "cpu")
    here.advance(float("inf"))
    there.advance(float("inf"))
    within = 1e-3 if several[0].adaptation.arithmetic == "fp32" else 1e-2
    for lane in range(len(here.lanes)):
        assert here.history(lane).loss == pytest.approx(there.history(lane).loss, abs=within)


def test_features_on_the_gpu_are_those_of_the_host(study: TinyStudy, monkeypatch: pytest.MonkeyPatch) -> None:
    configuration = study.configuration(unfrozen=2)
    group = begun(study, [configuration])
    held = group.learner.inputs
    assert isinstance(held, StoredInputs)
    assert held.is_on_device
    monkeypatch.setattr("trainables.features.store.DEVICE_SHARE", 0.0)
    read = StoredInputs(held.rows, configuration.network.precision, torch.device("cuda"))
    assert not read.is_on_device
    rows = torch.tensor([5, 0, 5, 3], device="cuda")
    for here, there in zip(held.gather(rows), read.gather(rows), strict=True):
        assert torch.equal(here, there)
    again = begun(study, [configuration])
    group.advance(float("inf"))
    again.advance(float("inf"))
    assert not again.learner.inputs.is_on_device
    assert_equal(group, again)


def test_a_segment_ends_with_its_records(study: TinyStudy) -> None:
    bench = Workbench(study.storage, study.places, torch.device("cuda"))
    finals = study.train(study.configuration(), (0, 1, 2), EPOCHS, bench)
    assert sorted(finals) == [0, 1, 2]
    assert all(final.meta["recipe"]["device"] == "cuda" for final in finals.values())


def test_a_step_that_reads_on_the_host_goes_on_as_written() -> None:
    total = torch.zeros((), device="cuda")

    def step(values: torch.Tensor) -> None:
        total.add_(values.sum().item())

    replay = Replay(step, torch.device("cuda"))
    for _ in range(3):
        replay(torch.ones(4, device="cuda"))
    assert total.item() == 12.0
    assert not replay._graphs
