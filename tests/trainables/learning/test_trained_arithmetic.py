"""What is trained of a backbone may compute in another arithmetic; what it is made of stays float32."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from search_spaces.configuration import Configuration
from tests.support.groups import done, group_of_lanes
from tests.support.tiny_study import TinyStudy
from trainables.learning.bodies.arithmetic import computing_in
from trainables.learning.bodies.network import Network
from trainables.learning.group import Group
from trainables.learning.learner import Lane

EPOCHS = 2
CPU, CUDA = torch.device("cpu"), torch.device("cuda")
TRAINED: dict[str, dict[str, Any]] = {
    "last layers": {"unfrozen": 2, "lr": 0.01, "momentum": 0.9},
    "whole, moving norms": {"adaptation": "whole", "norms": "moving", "lr": 0.002},
    "scales and shifts": {"adaptation": "scale_and_shift", "lr": 0.005},
    "low-rank updates": {"backbone": "timm:test_vit.r160_in1k", "adaptation": "lora", "rank": 2, "lr": 0.01},
    "changed images": {"unfrozen": 1, "lr": 0.01, "augmentation": ("flips", "mixup")},
}


def begun(study: TinyStudy, c: Configuration) -> Group:
    return group_of_lanes(study, [Lane(c, 2)], EPOCHS)


def learned(study: TinyStudy, name: str, arithmetic: str) -> Group:
    return done(begun(study, study.configuration(**TRAINED[name], arithmetic=arithmetic)))


def assert_equal(one: Group, other: Group) -> None:
    assert np.array_equal(one.history(0).loss, other.history(0).loss)
    assert np.array_equal(one.logits, other.logits)
    for name, values in one.learner.state().items():
        assert np.array_equal(values, other.learner.state()[name]), name


@pytest.mark.parametrize("name", TRAINED)
def test_tf32_is_float32_on_a_processor_bit_for_bit(study: TinyStudy, name: str) -> None:
    assert_equal(learned(study, name, "fp32"), learned(study, name, "tf32"))


@pytest.mark.parametrize("name", TRAINED)
def test_bfloat16_learns_something_else_and_the_same_each_time(study: TinyStudy, name: str) -> None:
    full, half, again = (learned(study, name, arithmetic) for arithmetic in ("fp32", "bf16", "bf16"))
    assert_equal(half, again)
    differences = np.abs(full.history(0).loss - half.history(0).loss).max(axis=1)
    assert differences.min() > 0, "the scores of untrained weights too"
    assert differences.max() < 0.1


@pytest.mark.parametrize("name", TRAINED)
def test_what_is_kept_is_float32_in_any(study: TinyStudy, name: str) -> None:
    group = learned(study, name, "bf16")
    learner, body = group.learner, group.learner.body
    assert isinstance(body, Network)
    tensors = [*learner.optimiser.tensors, *learner.optimiser.buffers, *body.state().values()]
    assert {tensor.dtype for tensor in tensors if tensor.is_floating_point()} == {torch.float32}
    inputs = (
        learner.inputs.gather(torch.arange(4))
        if learner.images is None
        else learner.images.frozen(learner.images.reader.gather(torch.arange(4)))
    )
    features = body.forward(inputs)
    gradients = body.backward(torch.ones_like(features))
    assert {tensor.dtype for tensor in (features, *gradients, body.score(inputs))} == {torch.float32}


def test_scores_are_computed_as_steps_are(study: TinyStudy) -> None:
    """What is selected and tested is what was trained."""
    body = learned(study, "last layers", "bf16").learner.body
    assert isinstance(body, Network)
    inputs = tuple(torch.randn(8, *shape) for shape in _frontier(study))
    scored = body.score(inputs)
    assert torch.equal(scored, body.forward(inputs))
    with torch.no_grad():
        assert not torch.equal(scored, body.module(inputs))


def test_a_head_alone_has_no_arithmetic_to_choose(study: TinyStudy) -> None:
    assert study.configuration(arithmetic="bf16") == study.configuration()
    assert (
        study.configuration(arithmetic="bf16", augmentation="flips").id == study.configuration(augmentation="flips").id
    )
    deep = {study.configuration(unfrozen=1, arithmetic=one).id for one in ("fp32", "tf32", "bf16")}
    assert len(deep) == 3
    assert study.configuration(unfrozen=1).id in deep


def _frontier(study: TinyStudy) -> tuple[tuple[int, ...], ...]:
    return study.bench().frozen_ready(study.configuration(**TRAINED["last layers"]), study.partition).shapes


def told() -> tuple[bool, bool, bool]:
    """TF32 of convolutions and of matrix products; whether autocast is on."""
    products = torch.backends.cuda.matmul
    return torch.backends.cudnn.allow_tf32, products.allow_tf32, torch.is_autocast_enabled("cpu")


@pytest.fixture
def settled() -> Iterator[None]:
    convolutions, products = torch.backends.cudnn, torch.backends.cuda.matmul
    before = convolutions.allow_tf32, products.allow_tf32
    convolutions.allow_tf32 = products.allow_tf32 = False
    yield
    convolutions.allow_tf32, products.allow_tf32 = before


def test_tf32_is_allowed_on_a_gpu_and_as_long_as_it_is_asked_for(settled: None) -> None:
    for backward in (False, True):
        with computing_in("tf32", CUDA, backward=backward):
            assert told() == (True, True, False)
        assert told() == (False, False, False)
    with pytest.raises(ZeroDivisionError), computing_in("tf32", CUDA):
        _ = 1 // 0
    assert told() == (False, False, False)
    for arithmetic, device in (("tf32", CPU), ("fp32", CPU), ("fp32", CUDA)):
        with computing_in(arithmetic, device):  # type: ignore[arg-type]
            assert told() == (False, False, False)


def test_autocast_is_for_the_forward_pass_alone(settled: None) -> None:
    with computing_in("bf16", CPU):
        assert told() == (False, False, True)
        assert torch.get_autocast_dtype("cpu") == torch.bfloat16
    with computing_in("bf16", CPU, backward=True):
        assert told() == (False, False, False)
