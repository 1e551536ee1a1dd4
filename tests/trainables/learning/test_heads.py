"""Heads written out by hand equal torch's autograd on the same layers with the same masks."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from search_spaces.settings import loss as settings
from search_spaces.settings.head import ACTIVATIONS, Head
from trainables.learning.draws import dropout_masks, initial_layer, mask_keys
from trainables.learning.heads.head import head_of
from trainables.learning.heads.layer import Layers, dropouts, linear, modules, parameter_count
from trainables.learning.heads.written_out import WrittenOut
from trainables.learning.losses.loss import loss_of, mean_gradient
from trainables.learning.products import Outer
from trainables.learning.tasks.classes import soft_targets

CPU = torch.device("cpu")
REPEATS, CONFIGURATIONS, BATCH, WIDTH, SLOPE = (0, 3, 4), 2, 6, 21, 0.2


def loss_gradient(logits: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor | None) -> torch.Tensor:
    targets = soft_targets(labels, logits.shape[-1]).to(logits.dtype)
    return mean_gradient(loss_of(settings.Loss()), logits, targets, weights)


class _Mask(nn.Module):
    """Dropout with a mask that is given."""

    def __init__(self, mask: torch.Tensor) -> None:
        super().__init__()
        self.mask = mask

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        return hidden * self.mask


def halving(
    width: int, n: int, outputs: int, slope: float = SLOPE, dropout: float = 0.3, activation: str = "leaky_relu"
) -> Layers:
    same = Head(non_linearities=n, negative_slope=slope, dropout=dropout, activation=activation)
    return head_of(same).layers(width, outputs)


def heads_of(
    n: int,
    outputs: int,
    dropout: float = 0.3,
    configurations: int = CONFIGURATIONS,
    activation: str = "leaky_relu",
) -> WrittenOut:
    """In double precision; the lanes' weights differ, as they do after a step."""
    layers = halving(WIDTH, n, outputs, dropout=dropout, activation=activation)
    heads = WrittenOut.initial(layers, 2, REPEATS, configurations, CPU)
    noise = torch.Generator().manual_seed(3)
    heads.weights = [w.double() + 0.1 * torch.randn(w.shape, generator=noise) for w in heads.weights]
    heads.biases = [b.double() + 0.1 * torch.randn(b.shape, generator=noise) for b in heads.biases]
    return heads


def masks_of(heads: WrittenOut) -> list[torch.Tensor]:
    return [
        dropout_masks(mask_keys(2, REPEATS, 1, layer), 0, BATCH, width, dropout).double()
        for layer, (width, dropout) in enumerate(dropouts(heads.layers))
    ]


def sequential(heads: WrittenOut, masks: list[torch.Tensor], lane: int) -> nn.Sequential:
    """The plain modules of a lane, with given masks in the place of dropout."""
    found = modules(heads.layers).double()
    found.load_state_dict(heads.state_of(lane))
    left = iter(masks)
    return nn.Sequential(
        *(_Mask(next(left)[lane // heads.configurations]) if isinstance(part, nn.Dropout) else part for part in found)
    )


def lane_of(gradient: torch.Tensor | Outer, heads: WrittenOut, layer: int, lane: int) -> torch.Tensor:
    """A lane's part of a gradient, as torch's linear layers shape it."""
    dense = gradient.dense() if isinstance(gradient, Outer) else gradient
    alike = [torch.zeros_like(w) for w in heads.weights], [torch.zeros_like(b) for b in heads.biases]
    alike[isinstance(gradient, torch.Tensor)][layer][...] = dense
    name = f"{3 * layer}.{'weight' if isinstance(gradient, Outer) else 'bias'}"
    return WrittenOut(heads.layers, *alike, heads.configurations).state_of(lane)[name]


def by_definition(logits: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor | None) -> torch.Tensor:
    """Σ w·cross entropy / B, as the design says."""
    if logits.shape[-1] == 1:
        each = functional.binary_cross_entropy_with_logits(logits[:, 0], targets.double(), reduction="none")
    else:
        each = functional.cross_entropy(logits, targets, reduction="none")
    if weights is not None:
        each = each * weights[targets]
    return each.sum() / len(targets)


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("n", [0, 1, 2, 4])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("activation", ACTIVATIONS.names)
def test_forward_and_backward_equal_autograd(n: int, outputs: int, weighted: bool, activation: str) -> None:
    generator = torch.Generator().manual_seed(n)
    heads = heads_of(n, outputs, activation=activation)
    masks = masks_of(heads)
    features = torch.randn(len(REPEATS), BATCH, WIDTH, generator=generator, dtype=torch.float64)
    classes = max(2, outputs)
    targets = torch.randint(classes, (len(REPEATS), BATCH), generator=generator)
    weights = torch.rand(classes, generator=generator, dtype=torch.float64) + 0.5 if weighted else None
    logits = heads.forward(features, masks)
    assert logits.shape == (len(REPEATS), CONFIGURATIONS, BATCH, outputs)
    *gradients, to_features = heads.backward(loss_gradient(logits, targets, weights), to_features=True)
    assert isinstance(to_features, torch.Tensor)
    assert len(gradients) == len(heads.parameters)
    back = torch.zeros_like(features)
    for lane in range(len(REPEATS) * CONFIGURATIONS):
        repeat, configuration = divmod(lane, CONFIGURATIONS)
        network = sequential(heads, masks, lane)
        inputs = features[repeat].clone().requires_grad_()
        expected = network(inputs)
        torch.testing.assert_close(logits[repeat, configuration], expected.detach(), rtol=1e-12, atol=1e-12)
        by_definition(expected, targets[repeat], weights).backward()
        linears = [part for part in network if isinstance(part, nn.Linear)]
        for layer, one in enumerate(linears):
            assert one.weight.grad is not None
            found = lane_of(gradients[2 * layer], heads, layer, lane)
            torch.testing.assert_close(found, one.weight.grad, rtol=1e-10, atol=1e-12)
            found = lane_of(gradients[2 * layer + 1], heads, layer, lane)
            torch.testing.assert_close(found, one.bias.grad, rtol=1e-10, atol=1e-12)
        assert inputs.grad is not None
        back[repeat] += inputs.grad
    torch.testing.assert_close(to_features, back, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("n", [0, 2])
@pytest.mark.parametrize("activation", ACTIVATIONS.names)
def test_scoring_is_the_network_without_dropout(n: int, outputs: int, activation: str) -> None:
    heads = heads_of(n, outputs, activation=activation)
    ones = [torch.ones_like(mask) for mask in masks_of(heads)]
    shared = torch.randn(BATCH, WIDTH, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for lane in range(len(REPEATS) * CONFIGURATIONS):
        expected = sequential(heads, ones, lane)(shared).detach()
        torch.testing.assert_close(heads.score(shared)[lane], expected, rtol=1e-12, atol=1e-12)


def test_at_zero_the_slope_is_the_negative_one_as_in_torch() -> None:
    weights = [torch.zeros(1, 1, 2), torch.ones(1, 1, 1)]
    heads = WrittenOut(halving(2, 1, 1), weights, [torch.zeros(1, 1, 1)] * 2, 1)
    heads.forward(torch.ones(1, 1, 2), [torch.ones(1, 1, 1)])
    first = heads.backward(torch.ones(1, 1, 1, 1))[0]
    assert isinstance(first, Outer)
    torch.testing.assert_close(first.dense(), torch.full((1, 1, 2), 0.2))


def test_layer_sizes() -> None:
    assert linear(halving(2048, 0, 1)) == [(2048, 1)]
    assert linear(halving(2048, 2, 3)) == [(2048, 1024), (1024, 512), (512, 3)]
    assert linear(halving(5, 3, 2)) == [(5, 2), (2, 1), (1, 1), (1, 2)]
    assert parameter_count(halving(2048, 0, 1)) == 2049
    heads = WrittenOut.initial(halving(21, 2, 3), 0, (0,), 1, CPU)
    assert parameter_count(halving(21, 2, 3)) == sum(parameter.tensor.numel() for parameter in heads.parameters)


def test_initial_layers_are_equal_for_equal_seed_repeat_and_shape() -> None:
    one = WrittenOut.initial(halving(16, 1, 2, 0.1, 0.5), 9, (0, 1, 7), 1, CPU)
    other = WrittenOut.initial(halving(16, 1, 5, 0.3, 0.0), 9, (7, 2), 3, CPU)
    weight, bias = initial_layer(9, 7, 0, 16, 8)
    assert torch.equal(one.state_of(2)["0.weight"], torch.from_numpy(weight.T))
    assert torch.equal(one.state_of(2)["0.bias"], torch.from_numpy(bias))
    for lane in range(3):
        for name in ("0.weight", "0.bias"):
            mine, its = one.state_of(2)[name], other.state_of(lane)[name]
            assert torch.equal(mine, its), "the first layers have one shape, and every configuration starts alike"
    assert torch.equal(other.state_of(0)["3.weight"], other.state_of(2)["3.weight"])
    assert not torch.equal(one.state_of(0)["0.weight"], one.state_of(1)["0.weight"])
