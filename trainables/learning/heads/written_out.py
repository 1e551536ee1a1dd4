"""Linear layers with LeakyReLU or GELU and dropout between them, for a stack of lanes at once.

A lane is one repeat of one configuration; lanes never mix. Configurations of a stack read the same rows and share
dropout masks, which belong to the repeat. Forward and backward are written out, because a head is a handful of
products, recording them costs more than computing them, and an optimiser can take the gradients as factors.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch.nn import functional

from trainables.learning.draws import initial_layer
from trainables.learning.heads.layer import Layers, linear
from trainables.learning.optimisers.rates import Parameter
from trainables.learning.products import Outer, multiply


class WrittenOut:
    """See `Heads`.

    weights[0]: float32 [R, C·out, in], so that all that a repeat reads is multiplied at once; weights[l > 0]:
    [R·C, out, in], repeat by repeat. biases: [R, 1, C·out] and [R·C, 1, out].
    """

    def __init__(
        self,
        layers: Layers,
        weights: Sequence[torch.Tensor],
        biases: Sequence[torch.Tensor],
        configurations: int,
    ) -> None:
        self.layers = layers
        self.weights = list(weights)
        self.biases = list(biases)
        self.repeats = len(weights[0])
        self.configurations = configurations
        self.buffers: list[torch.Tensor] = []
        self.negative_slope = next((layer.arguments[0] for layer in layers if layer.kind == "LeakyReLU"), 0.0)
        self.is_gelu = any(layer.kind == "GELU" for layer in layers)
        self._inputs: list[torch.Tensor] = []
        self._slopes: list[torch.Tensor] = []

    @classmethod
    def initial(
        cls, layers: Layers, seed: int, repeats: Sequence[int], configurations: int, device: torch.device
    ) -> WrittenOut:
        """Draw every repeat's layers."""
        weights, biases = [], []
        for layer, (inputs, outputs) in enumerate(linear(layers)):
            drawn = [initial_layer(seed, repeat, layer, inputs, outputs) for repeat in repeats]
            weight = torch.stack([torch.from_numpy(weight.T.copy()) for weight, _ in drawn]).to(device)
            bias = torch.stack([torch.from_numpy(bias) for _, bias in drawn]).to(device)
            weight = weight.unsqueeze(1).expand(-1, configurations, -1, -1)
            bias = bias.unsqueeze(1).expand(-1, configurations, -1)
            rows = (len(repeats), -1) if layer == 0 else (len(repeats) * configurations, outputs)
            weights.append(weight.reshape(*rows, inputs).clone())
            biases.append(bias.reshape(rows[0], 1, -1).clone())
        return cls(layers, weights, biases, configurations)

    @property
    def parameters(self) -> list[Parameter]:
        """All weights and biases, layer by layer."""
        parameters = []
        for layer, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            if layer == 0:
                span = weight.shape[1] // self.configurations
                parameters.append(Parameter(weight, axis=1, span=span))
                parameters.append(Parameter(bias, axis=2, span=span, is_weight=False))
            else:
                parameters.append(Parameter(weight, times=self.repeats))
                parameters.append(Parameter(bias, times=self.repeats, is_weight=False))
        return parameters

    def state_of(self, lane: int) -> dict[str, torch.Tensor]:
        repeat, configuration = divmod(lane, self.configurations)
        places = [place for place, layer in enumerate(self.layers) if layer.kind == "Linear"]
        state = {}
        for layer, (place, weight, bias) in enumerate(zip(places, self.weights, self.biases, strict=True)):
            if layer == 0:
                span = weight.shape[1] // self.configurations
                part = slice(configuration * span, (configuration + 1) * span)
                state[f"{place}.weight"], state[f"{place}.bias"] = weight[repeat, part], bias[repeat, 0, part]
            else:
                state[f"{place}.weight"], state[f"{place}.bias"] = weight[lane], bias[lane, 0]
        return state

    @torch.no_grad()
    def forward(self, features: torch.Tensor, masks: Sequence[torch.Tensor]) -> torch.Tensor:
        self._inputs, self._slopes = [features], []
        hidden = multiply(features, self.weights[0].transpose(1, 2)).add_(self.biases[0])
        hidden = self._apart(hidden)
        for weight, bias, mask in zip(self.weights[1:], self.biases[1:], masks, strict=True):
            shared = mask.unsqueeze(1)
            if self.is_gelu:
                below = normal_below(hidden)
                slope = (below + hidden * normal_density(hidden)).mul_(shared)
                hidden = (hidden * below).mul_(shared).flatten(0, 1)
            else:
                slope = torch.where(hidden > 0, shared, shared * self.negative_slope)
                hidden = (hidden * slope).flatten(0, 1)
            self._slopes.append(slope.flatten(0, 1))
            self._inputs.append(hidden)
            hidden = multiply(hidden, weight.transpose(1, 2)).add_(bias)
            hidden = self._by_lane(hidden)
        return hidden

    @torch.no_grad()
    def backward(self, gradient: torch.Tensor, *, to_features: bool = False) -> list[torch.Tensor | Outer]:
        gradients: list[torch.Tensor | Outer] = []
        for layer in range(len(self.weights) - 1, -1, -1):
            left = gradient.flatten(0, 1) if layer else self._side_by_side(gradient)
            gradients[:0] = [Outer(left, self._inputs[layer]), left.sum(dim=1, keepdim=True)]
            if layer:
                gradient = multiply(left, self.weights[layer]).mul_(self._slopes[layer - 1])
                gradient = self._by_lane(gradient)
            elif to_features:
                gradients.append(multiply(left, self.weights[0]))
        self._inputs, self._slopes = [], []
        return gradients

    @torch.no_grad()
    def score(self, features: torch.Tensor) -> torch.Tensor:
        first, lanes = self.weights[0], self.repeats * self.configurations
        hidden = torch.addmm(self.biases[0].view(-1), features, first.view(-1, first.shape[2]).t())
        hidden = hidden.view(len(features), lanes, -1).transpose(0, 1)
        for weight, bias in zip(self.weights[1:], self.biases[1:], strict=True):
            hidden = hidden.contiguous()
            hidden = functional.gelu(hidden) if self.is_gelu else functional.leaky_relu(hidden, self.negative_slope)
            hidden = multiply(hidden, weight.transpose(1, 2)).add_(bias)
        return hidden

    def _apart(self, hidden: torch.Tensor) -> torch.Tensor:
        """[R, B, C·w] → [R, C, B, w]."""
        return hidden.view(*hidden.shape[:2], self.configurations, -1).transpose(1, 2)

    def _by_lane(self, hidden: torch.Tensor) -> torch.Tensor:
        """[R·C, B, w] → [R, C, B, w]."""
        return hidden.view(self.repeats, self.configurations, *hidden.shape[1:])

    def _side_by_side(self, gradient: torch.Tensor) -> torch.Tensor:
        """[R, C, B, w] → [R, B, C·w]."""
        return gradient.transpose(1, 2).flatten(2)


def normal_below(values: torch.Tensor) -> torch.Tensor:
    """Φ: how likely a standard normal number is below each; GELU is x·Φ(x), its derivative Φ(x) + x·φ(x)."""
    return torch.erf(values * math.sqrt(0.5)).add_(1.0).mul_(0.5)


def normal_density(values: torch.Tensor) -> torch.Tensor:
    """φ of each."""
    return torch.exp(values.square().mul_(-0.5)).mul_(1 / math.sqrt(2 * math.pi))
