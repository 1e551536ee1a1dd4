"""The recipe follows from device kind and shapes alone."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from orchestrator.store.schema import Recipe, parse_toml
from tests.support.tiny_study import TinyStudy, make_tiny_study
from trainables.bundles.recipe import CPU_STACK_BYTES, WIDEST, decide, most_bundles
from trainables.machine.devices import device_name

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> TinyStudy:
    return make_tiny_study(tmp_path_factory.mktemp("recipe"))


def test_small_heads_are_stacked_on_a_cpu_and_large_ones_are_not(study: TinyStudy) -> None:
    linear, deep = study.configuration(), study.configuration(non_linearities=1)
    assert decide(linear, 2048, "f", 2048, CPU).stacked
    assert not decide(deep, 2048, "f", 2048, CPU).stacked
    largest = CPU_STACK_BYTES // 80  # ten repeats of a weight and its velocity, four bytes each
    assert decide(linear, largest - 1, "f", 1, CPU).stacked
    assert not decide(linear, largest, "f", 1, CPU).stacked


def test_how_many_bundles_fit_in_a_stack(study: TinyStudy) -> None:
    linear, adam = study.configuration(), study.configuration(optimiser="adam", betas=(0.9, 0.99))
    assert most_bundles(linear, 2048, CPU) == WIDEST
    assert most_bundles(linear, 49_999, CPU) == 4
    assert most_bundles(adam, 49_999, CPU) == 2, "Adam has two buffers"
    assert most_bundles(study.configuration(non_linearities=1), 2048, CPU) == 0
    assert most_bundles(study.configuration(unfrozen=1), 8, CPU) == 0


def test_unfrozen_backbones_are_trained_in_turn(study: TinyStudy) -> None:
    recipe = decide(study.configuration(unfrozen=1), 8, "layer", 4096, CPU)
    assert (recipe.stacked, recipe.scoring_batch, recipe.frontier) == (False, 32, "layer")


@pytest.mark.parametrize(("values", "batch"), [(1, 4096), (0, 4096), (32_000, 1000), (10**9, 16)])
def test_scoring_batches_are_bounded(study: TinyStudy, values: int, batch: int) -> None:
    assert decide(study.configuration(), 8, "f", values, CPU).scoring_batch == batch


def test_nothing_that_may_vary_enters(study: TinyStudy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    one = decide(study.configuration(), 64, "f", 64, CPU)
    monkeypatch.setattr("os.cpu_count", lambda: 99)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        other = decide(study.configuration(lr=0.9, study_seed=8), 64, "f", 64, CPU)
    finally:
        torch.set_num_threads(before)
    assert one == other
    assert (one.threads, one.device, one.device_name) == (1, "cpu", device_name(CPU))
    assert parse_toml(Recipe, one.to_toml(), "recipe") == one
