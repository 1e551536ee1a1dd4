"""The recipe follows from device kind and shapes alone."""

from __future__ import annotations

import pytest
import torch

from orchestrator.store.schema import parse_toml
from orchestrator.store.segments import Recipe, Segment
from tests.support.tiny_study import TinyStudy, make_tiny_study
from trainables.bundles.recipe import CPU_STACK_BYTES, WIDEST, decide, is_stacked, most_bundles, scoring_batch
from trainables.machine.devices import device_name

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
SEGMENT = Segment("p", ("c",), (0, 1), 0, 3)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> TinyStudy:
    return make_tiny_study(tmp_path_factory.mktemp("recipe"))


def test_small_heads_are_stacked_on_a_cpu_and_large_ones_are_not(study: TinyStudy) -> None:
    linear, deep = study.configuration(), study.configuration(non_linearities=1)
    assert is_stacked(linear, 2048, CPU)
    assert not is_stacked(deep, 2048, CPU)
    largest = CPU_STACK_BYTES // 80  # ten repeats of a weight and its velocity, four bytes each
    assert is_stacked(linear, largest - 1, CPU)
    assert not is_stacked(linear, largest, CPU)


def test_how_many_bundles_fit_in_a_stack(study: TinyStudy) -> None:
    linear, adam = study.configuration(), study.configuration(optimiser="adam", betas=(0.9, 0.99))
    assert most_bundles(linear, 2048, CPU) == WIDEST
    assert most_bundles(linear, 49_999, CPU) == 4
    assert most_bundles(adam, 49_999, CPU) == 2, "Adam has two buffers"
    assert most_bundles(study.configuration(non_linearities=1), 2048, CPU) == 0
    assert most_bundles(study.configuration(unfrozen=1), 8, CPU) == 0
    assert most_bundles(study.configuration(non_linearities=1, activation="gelu"), 64, CPU) == WIDEST
    for recorded in ({"input_norm": True}, {"excitation": "after_pooling"}):
        assert most_bundles(study.configuration(**recorded), 8, CPU) == 0, "lanes in turn"


def test_unfrozen_backbones_are_trained_in_turn(study: TinyStudy) -> None:
    deep = study.configuration(unfrozen=1)
    assert not is_stacked(deep, 8, CPU)
    assert [scoring_batch(deep, 4096, device) for device in (CPU, CUDA)] == [32, 256]


@pytest.mark.parametrize(("values", "batch"), [(1, 4096), (0, 4096), (32_000, 1000), (10**9, 16)])
def test_scoring_batches_are_bounded(study: TinyStudy, values: int, batch: int) -> None:
    assert scoring_batch(study.configuration(), values, CPU) == batch


def test_nothing_that_may_vary_enters(study: TinyStudy, monkeypatch: pytest.MonkeyPatch) -> None:
    one = decide(SEGMENT, study.configuration(), "f", 64, CPU)
    monkeypatch.setattr("os.cpu_count", lambda: 99)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        other = decide(SEGMENT, study.configuration(lr=0.9, study_seed=8), "f", 64, CPU)
    finally:
        torch.set_num_threads(before)
    assert one == other
    assert (one.segment, one.threads, one.device, one.frontier) == (SEGMENT, 1, "cpu", "f")
    assert one.device_name == device_name(CPU)
    assert parse_toml(Recipe, one.to_toml(), "recipe") == one
