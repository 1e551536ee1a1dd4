"""The optimisers take the steps of torch, Lion of timm, each configuration at rates of its own."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from timm.optim.lion import Lion

from search_spaces.settings import optimiser as settings
from search_spaces.settings.optimiser import OPTIMISERS
from trainables.learning.optimisers.optimiser import Optimiser
from trainables.learning.optimisers.rates import Parameter, Seat
from trainables.learning.products import Outer

LR, MOMENTUM, DECAY = [1e-3, 0.03, 0.2], [0.0, 0.5, 0.9], [0.0, 1e-3, 0.1]
SHAPES = ((4, 5), (1, 5), (3, 2, 2))


def reference(name: str, parameters: Any, lr: float, momentum: float, decay: float) -> Any:
    if name == "sgd":
        return torch.optim.SGD(parameters, lr=lr, momentum=momentum, weight_decay=decay)
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "lion": Lion}[name]
    return kind(parameters, lr=lr, betas=(0.9, 0.99), weight_decay=decay)


def optimiser_of(
    name: str, parameters: list[Parameter], lr: list[float], momentum: list[float], decay: list[float]
) -> Optimiser:
    """Of a stack of as many configurations as there are rates."""
    several = [
        settings.Optimiser(name=name, lr=one, batch_size=8, momentum=kept, weight_decay=pull, betas=(0.9, 0.99))
        for one, kept, pull in zip(lr, momentum, decay, strict=True)
    ]
    return Optimiser(parameters, several)


@pytest.mark.parametrize("name", OPTIMISERS.names)
@pytest.mark.parametrize("decay", [DECAY, [0.0, 0.0, 0.0]])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_ten_steps_equal_torch(name: str, decay: list[float], dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    stacked = [torch.randn(3, *shape, generator=generator, dtype=dtype) for shape in SHAPES]
    own = [[tensor[lane].clone().requires_grad_() for tensor in stacked] for lane in range(3)]
    optimiser = optimiser_of(name, [Parameter(tensor) for tensor in stacked], LR, MOMENTUM, decay)
    others = [reference(name, own[i], LR[i], MOMENTUM[i], decay[i]) for i in range(3)]
    for step in range(10):
        gradients = [torch.randn(tensor.shape, generator=generator, dtype=dtype) * 3.0**-step for tensor in stacked]
        for lane in range(3):
            for parameter, gradient in zip(own[lane], gradients, strict=True):
                parameter.grad = gradient[lane].clone()
            others[lane].step()
        optimiser.step(gradients)
    for lane in range(3):
        for tensor, expected in zip(stacked, own[lane], strict=True):
            torch.testing.assert_close(tensor[lane], expected.detach(), rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("name", OPTIMISERS.names)
def test_decay_on_weights_is_that_of_parameter_groups(name: str) -> None:
    """Configurations of one stack decay by different rates, one of them on everything."""
    generator = torch.Generator().manual_seed(2)
    stacked = [torch.randn(3, *shape, generator=generator) for shape in ((4, 5), (1, 5))]
    own = [
        [stacked[0][lane].clone().requires_grad_(), stacked[1][lane, 0].clone().requires_grad_()] for lane in range(3)
    ]
    several = [
        settings.Optimiser(name=name, lr=0.01, batch_size=8, betas=(0.9, 0.99), weight_decay=decay, decay_on=on)
        for decay, on in ((0.5, "weights"), (0.5, "all"), (0.1, "weights"))
    ]
    optimiser = Optimiser([Parameter(stacked[0]), Parameter(stacked[1], is_weight=False)], several)
    others = []
    for lane, c in enumerate(several):
        groups = [{"params": own[lane][:1]}, {"params": own[lane][1:], "weight_decay": 0.0}]
        both = own[lane] if c.decay_on == "all" else groups
        others.append(reference(name, both, c.lr, c.momentum, c.weight_decay))
    for _ in range(10):
        gradients = [torch.randn(tensor.shape, generator=generator) for tensor in stacked]
        for lane, other in enumerate(others):
            own[lane][0].grad, own[lane][1].grad = gradients[0][lane].clone(), gradients[1][lane, 0].clone()
            other.step()
        optimiser.step(gradients)
    for lane in range(3):
        torch.testing.assert_close(stacked[0][lane], own[lane][0].detach(), rtol=2e-6, atol=2e-6)
        torch.testing.assert_close(stacked[1][lane, 0], own[lane][1].detach(), rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("name", OPTIMISERS.names)
def test_a_lane_does_not_depend_on_its_neighbours(name: str) -> None:
    def trained(lanes: list[int]) -> torch.Tensor:
        start = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(1))[lanes]
        optimiser = optimiser_of(
            name,
            [Parameter(start)],
            [LR[i] for i in lanes],
            [MOMENTUM[i] for i in lanes],
            [DECAY[i] for i in lanes],
        )
        for step in range(5):
            gradient = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(step))[lanes]
            if 0 in lanes:
                gradient[lanes.index(0)] = float("nan")
            optimiser.step([gradient])
        return start

    together, pair = trained([0, 1, 2]), trained([2, 1])
    assert torch.equal(together[1], pair[1])
    assert torch.equal(together[2], pair[0])
    assert bool(together[0].isnan().all())


@pytest.mark.parametrize("name", OPTIMISERS.names)
def test_one_lane_takes_tensors_of_any_shape(name: str) -> None:
    plain = torch.ones(6)
    stacked = torch.ones(1, 6)
    for tensor in (plain, stacked):
        optimiser = optimiser_of(name, [Parameter(tensor)], [0.1], [0.9], [0.01])
        for _ in range(3):
            optimiser.step([torch.full_like(tensor, 0.5)])
    assert torch.equal(plain, stacked[0])
    assert not torch.equal(plain, torch.ones(6))


def test_the_state_is_all_in_the_buffers_and_the_step_count() -> None:
    def gradient(step: int) -> torch.Tensor:
        return torch.randn(2, 3, generator=torch.Generator().manual_seed(step))

    for name in OPTIMISERS.names:
        unbroken, broken = torch.ones(2, 3), torch.ones(2, 3)
        one = optimiser_of(name, [Parameter(unbroken)], LR[:2], MOMENTUM[1:], DECAY[1:])
        two = optimiser_of(name, [Parameter(broken)], LR[:2], MOMENTUM[1:], DECAY[1:])
        for step in range(6):
            one.step([gradient(step)])
            if step == 3:
                fresh = optimiser_of(name, [Parameter(broken)], LR[:2], MOMENTUM[1:], DECAY[1:])
                for buffer, kept in zip(fresh.buffers, two.buffers, strict=True):
                    buffer.copy_(kept)
                fresh.steps, two = two.steps, fresh
            two.step([gradient(step)])
        assert torch.equal(unbroken, broken), name


@pytest.mark.parametrize("products", [3, 12], ids=["one by one", "batched"])
@pytest.mark.parametrize("name", OPTIMISERS.names)
@pytest.mark.parametrize("momentum", [[0.9, 0.9], [0.9, 0.0]], ids=["one momentum", "two"])
def test_gradients_may_be_given_as_factors(name: str, momentum: list[float], products: int) -> None:
    """Configurations lie side by side along axis 1, as in a head's first layer."""
    generator = torch.Generator().manual_seed(4)
    start = torch.randn(products, 6, 5, generator=generator)
    both = [start.clone(), start.clone()]
    optimisers = [
        optimiser_of(name, [Parameter(tensor, axis=1, span=3)], [0.1, 0.01], momentum, [0.0, 0.02]) for tensor in both
    ]
    for _ in range(4):
        left = torch.randn(products, 7, 6, generator=generator)
        right = torch.randn(products, 7, 5, generator=generator)
        optimisers[0].step([Outer(left, right)])
        optimisers[1].step([torch.einsum("pbo,pbi->poi", left, right)])
    torch.testing.assert_close(both[0], both[1], rtol=1e-4, atol=1e-5)
    moved = (both[0] - start).abs().mean(dim=(0, 2))
    assert float(moved[:3].min()) > 2 * float(moved[3:].max()), "the first three rows have ten times the rate"


LAID_OUT = (((2, 12, 5), 1, 1, 4), ((2, 1, 12), 2, 1, 4), ((6, 3, 4), 0, 2, 1), ((6, 1, 3), 0, 2, 1))
"""Shape, axis, times and span of a head's layers: two repeats of three configurations."""


@pytest.mark.parametrize("name", OPTIMISERS.names)
def test_clipping_is_that_of_torch_lane_by_lane(name: str) -> None:
    """Some lanes are above the limit, some below, one is no number and spoils no other."""
    generator = torch.Generator().manual_seed(6)
    several = [
        settings.Optimiser(name=name, lr=lr, batch_size=8, momentum=0.9, betas=(0.9, 0.99), clip=2.0)
        for lr in (0.1, 0.2, 0.3)
    ]
    layers = [
        Parameter(torch.randn(shape, generator=generator), axis=axis, times=times, span=span)
        for shape, axis, times, span in LAID_OUT
    ]
    parts = [[layer.part(Seat(lane, 6, 3)) for layer in layers] for lane in range(6)]
    own = [
        [layer.tensor[part].clone().requires_grad_() for layer, part in zip(layers, of, strict=True)] for of in parts
    ]
    others = [reference(name, own[lane], several[lane % 3].lr, 0.9, 0.0) for lane in range(6)]
    optimiser = Optimiser(layers, several)
    norms = []
    for step in range(5):
        left = torch.randn(2, 7, 12, generator=generator) * 0.1
        right = torch.randn(2, 7, 5, generator=generator)
        gradients = [torch.randn(layer.tensor.shape, generator=generator) * 0.2 for layer in layers]
        for lane in range(6):
            for gradient, part in zip(gradients[1:], parts[lane][1:], strict=True):
                gradient[part] *= 3.0 ** (lane - 2)
        if step == 4:
            gradients[2][5] = float("nan")
        gradients[0] = torch.einsum("pbo,pbi->poi", left, right)
        for lane in range(6):
            for parameter, gradient, part in zip(own[lane], gradients, parts[lane], strict=True):
                parameter.grad = gradient[part].clone()
            norms.append(float(torch.nn.utils.clip_grad_norm_(own[lane], 2.0)))
            others[lane].step()
        optimiser.step([Outer(left, right), *gradients[1:]])
    assert min(norms) < 2.0 < max(norms)
    for lane in range(5):
        for layer, part, expected in zip(layers, parts[lane], own[lane], strict=True):
            torch.testing.assert_close(layer.tensor[part], expected.detach(), rtol=1e-4, atol=1e-5)
    assert all(bool(layer.tensor[part].isnan().all()) for layer, part in zip(layers, parts[5], strict=True))


def test_a_limit_that_nothing_reaches_changes_nothing() -> None:
    found = []
    for clip in (0.0, 1e6):
        tensor = torch.ones(2, 3)
        one = settings.Optimiser(name="sgd", lr=0.1, batch_size=8, clip=clip)
        Optimiser([Parameter(tensor)], [one, one.model_copy(update={"lr": 0.2})]).step([torch.full((2, 3), 0.5)])
        found.append(tensor)
    assert torch.equal(*found)
