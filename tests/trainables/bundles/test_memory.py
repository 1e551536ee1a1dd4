"""How much memory a trial is said to need, and what share of a GPU follows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from orchestrator.store.segments import Segment
from search_spaces.configuration import Configuration
from search_spaces.resolve import BackboneFacts
from tests.support.configurations import configured
from tests.support.tiny_study import TinyStudy
from trainables.bundles import memory
from trainables.bundles.memory import CONTEXT_BYTES, StepAndScore, gpu_share, network_bytes, share_for, trial_bytes
from trainables.bundles.recipe import scoring_batch
from trainables.features.samples import Samples
from trainables.network.activations import Activations
from trainables.network.division import PIXELS

FACTS = BackboneFacts("timm:one", "init:0", 32, "bilinear", (0, 0, 0), (1, 1, 1), 10, 9, 1000)
BEHIND = Activations(read=40, kept=1000, step=1100, passing=100, fixed=7, parameters=500, trained=300)
HEAD = 10 + 1
WEIGHTS = 4 * (1000 + 2 * 500 + HEAD + (300 + HEAD) * 2)
"""The network, its part twice, the head; gradients and SGD's velocity of what is trained."""


def samples(training: int, scored: int) -> Samples:
    scoring = {"train": np.arange(scored), "valid": np.arange(3)}
    return Samples(pd.DataFrame(), np.zeros((0, 2)), np.zeros(0), np.arange(training), scoring, None)


def deep(batch: int) -> Configuration:
    return configured(unfrozen=2, batch_size=batch)


def both(behind: Activations) -> StepAndScore:
    """Of a network whose scores read what its steps read."""
    return StepAndScore(behind, behind)


def activations(batch: int, scored: int, device: str = "cpu", training: int = 90, behind: Activations = BEHIND) -> int:
    """Bytes beside the weights, of 64 rows that are scored at most."""
    rows = samples(training, 64)
    return network_bytes(deep(batch), FACTS, both(behind), scored, rows, torch.device(device)) - WEIGHTS


def test_a_step_holds_what_is_read_the_most_of_both_passes_and_what_lies_unused() -> None:
    assert activations(batch=8, scored=8) == 7 + 8 * (5 * 40 + 1100) + 2 * 8 * 100
    assert activations(batch=16, scored=8) == 7 + 16 * 1500
    assert activations(batch=16, scored=8, training=10) == 7 + 10 * 1500, "there are no more rows"


def test_no_more_than_so_much_lies_unused() -> None:
    large = replace(BEHIND, step=30_000_000, passing=10_000_000)
    few, many = (activations(batch, 1, behind=large) - 7 - batch * 30_000_200 for batch in (8, 64))
    assert (few, many) == (2 * 8 * 10_000_000, 350_000_000)


def test_more_lies_unused_where_most_weights_are_frozen() -> None:
    few = replace(BEHIND, trained=200)
    more = activations(batch=8, scored=8, behind=few) - activations(batch=8, scored=8)
    assert more == 0.35 * 8 * 1100 - 2 * 8 * 100 - 4 * 2 * 100, "and the gradients and velocity of 100 weights less"


def test_where_nothing_is_trained_a_step_holds_what_passes() -> None:
    frozen = replace(BEHIND, kept=0, step=0, trained=0)
    assert activations(batch=8, scored=8, behind=frozen) == 7 + 8 * (5 * 40 + 3 * 100) - 300 * 2 * 4


def test_a_scoring_batch_keeps_nothing_and_counts_where_it_is_the_larger() -> None:
    unused = 2 * 2 * 100
    assert activations(batch=2, scored=32) == 7 + 32 * (5 * 40 + 100) + unused
    assert activations(batch=2, scored=256) == 7 + 64 * 300 + unused, "no more rows are scored"
    assert activations(batch=2, scored=4) == 7 + 2 * 1300 + unused


def test_a_recorded_step_of_a_gpu_keeps_its_own_beside_what_follows() -> None:
    assert activations(batch=8, scored=8, device="cuda", training=80) == 7 + 1.25 * (8 * 1300 + 8 * 300)
    assert activations(batch=8, scored=8, device="cuda", training=86) == 7 + 1.25 * (8 * 1300 + 6 * 1300)


def test_rules_with_more_buffers_take_more() -> None:
    adam = configured(unfrozen=2, batch_size=8, optimiser="adam", betas=(0.9, 0.99))
    need = network_bytes(adam, FACTS, both(BEHIND), 8, samples(90, 64), torch.device("cpu"))
    assert need == WEIGHTS + 4 * (300 + HEAD) + activations(batch=8, scored=8)


def test_a_step_in_bfloat16_holds_copies_of_weights() -> None:
    rows, cpu = samples(90, 64), torch.device("cpu")
    full, wide, half = (
        network_bytes(configured(unfrozen=2, batch_size=8, arithmetic=one), FACTS, both(BEHIND), 8, rows, cpu)
        for one in ("fp32", "tf32", "bf16")
    )
    assert (wide - full, half - full) == (0, 2 * 500)


def test_fewer_trials_of_a_large_batch_share_a_gpu() -> None:
    """As of resnet18 at 224 pixels, all trained: 7 GB of activations at 200 images."""
    large = replace(BEHIND, step=28_400_000, passing=6_400_000)

    def share(batch: int) -> float:
        need = activations(batch, 8, "cuda", training=400, behind=large) + WEIGHTS
        return gpu_share(CONTEXT_BYTES + need, 16_000_000_000)

    assert [share(batch) for batch in (8, 80, 200, 400)] == [1 / 8, 1 / 4, 1 / 2, 1]


def test_it_follows_batch_depth_and_where_the_frozen_part_ends(study: TinyStudy) -> None:
    bench = study.bench()
    every = bench.facts(study.configuration()).weight_layers
    small, large, shallow, pixels, head = (
        study.configuration(**settings)
        for settings in (
            {"unfrozen": every, "batch_size": 12},
            {"unfrozen": every, "batch_size": 24},
            {"unfrozen": 2, "batch_size": 12},
            {"unfrozen": 2, "batch_size": 12, "augmentation": "flips"},
            {"batch_size": 12},
        )
    )
    need = {c.id: trial_bytes(bench, c, study.partition) for c in (small, large, shallow, pixels, head)}
    assert need[head.id] < need[shallow.id] < need[pixels.id] < need[small.id] < need[large.id]
    layer = bench.frozen_ready(shallow, study.partition).layer
    facts, found = bench.facts(small), bench.samples(small, study.partition)
    for c, place in ((small, PIXELS), (large, PIXELS), (shallow, layer), (pixels, PIXELS)):
        frozen = bench.frozen(c, study.partition)
        values = sum(torch.Size(shape).numel() for shape in frozen.shapes)
        scored = scoring_batch(c, values, bench.device)
        computed = StepAndScore(bench.activations(c, place), bench.activations(c, frozen.layer))
        expected = network_bytes(c, facts, computed, scored, found, bench.device)
        assert need[c.id] == CONTEXT_BYTES + expected


def test_it_counts_what_each_adaptation_trains(study: TinyStudy) -> None:
    bench = study.bench()
    vit = "timm:test_vit.r160_in1k"
    whole, every, scaled, biases, low_rank, wide = (
        study.configuration(**settings)
        for settings in (
            {"adaptation": "whole"},
            {"unfrozen": bench.facts(study.configuration()).weight_layers},
            {"adaptation": "scale_and_shift"},
            {"adaptation": "bias"},
            {"backbone": vit, "adaptation": "lora", "rank": 2},
            {"backbone": vit, "adaptation": "lora", "rank": 64},
        )
    )
    need = {c.id: trial_bytes(bench, c, study.partition) for c in (whole, every, scaled, biases, low_rank, wide)}
    assert need[whole.id] == need[every.id]
    assert need[low_rank.id] < need[wide.id]
    for c in (whole, scaled, biases, low_rank):
        material = bench.material(c, study.partition)
        assert material.suffix is not None
        counted = bench.activations(c, material.layer)
        assert counted.trained == material.live_parameters > 0
        assert counted.parameters == sum(one.numel() for one in material.suffix.parameters())
        assert counted.step > counted.kept > 0
    facts = bench.facts(whole)
    assert bench.activations(whole, PIXELS).trained == facts.parameters
    assert bench.activations(biases, PIXELS).trained < bench.activations(scaled, PIXELS).trained < facts.parameters


def test_shares_are_those_of_the_largest(study: TinyStudy, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = study.bench()
    monkeypatch.setattr(memory, "CONTEXT_BYTES", 0)
    every = bench.facts(study.configuration()).weight_layers
    small, large = (study.configuration(unfrozen=every, batch_size=batch) for batch in (2, 24))
    segments = [Segment(study.partition, (c.id,), (0,), 0, 1) for c in (small, large)]
    one, other = (trial_bytes(bench, c, study.partition) for c in (small, large))
    monkeypatch.setattr(memory, "gpu_bytes_here", lambda: 4 * other)
    assert share_for(bench, segments) == share_for(bench, segments[1:]) == 1 / 4
    assert share_for(bench, segments[:1]) == 1 / min(8, 4 * other // one) < 1 / 4


def test_wide_stacks_take_more(study: TinyStudy) -> None:
    bench, c = study.bench(), study.configuration()
    need = [trial_bytes(bench, c, study.partition, lanes) for lanes in (1, 10, 200)]
    assert need == sorted(set(need))
    assert trial_bytes(bench, c, study.partition) == need[1]


def test_a_gate_takes_its_weights_and_what_it_gives(study: TinyStudy) -> None:
    plain = study.configuration(momentum=0.9)
    gated = study.configuration(momentum=0.9, excitation="after_pooling", reduction=4)
    rows, width, few = 40, 64, 16
    weights = 2 * width * few + few + width
    more = memory.head_bytes(gated, width, rows, 1) - memory.head_bytes(plain, width, rows, 1)
    assert more == 4 * (weights * 3 + 2 * width * 2 * rows / 2)
