"""The new layers on top, for a stack of lanes at once: n × (linear, LeakyReLU, dropout), then the output layer.

Each added layer halves the width. A lane is one repeat of one configuration; lanes never mix. Configurations of a stack
read the same rows and share dropout masks, which belong to the repeat. Forward and backward are written out, because a
head is a handful of products, recording them costs more than computing them, and an optimiser can take the gradients
as factors.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional

from trainables.learning.draws import initial_layer
from trainables.learning.optimisers.rates import Parameter
from trainables.learning.products import Outer, multiply


def layer_sizes(feature_width: int, non_linearities: int, outputs: int) -> list[tuple[int, int]]:
    """(inputs, outputs) of every layer; each added one halves the width, rounding down, not below 1."""
    sizes, width = [], feature_width
    for _ in range(non_linearities):
        sizes.append((width, max(1, width // 2)))
        width = max(1, width // 2)
    return [*sizes, (width, outputs)]


def head_parameters(feature_width: int, non_linearities: int, outputs: int) -> int:
    """Number of weights and biases of one head."""
    return sum((i + 1) * o for i, o in layer_sizes(feature_width, non_linearities, outputs))


class Heads:
    """The heads of a stack: R repeats of each of C configurations, whose shapes are equal.

    weights[0]: float32 [R, C·out, in], so that all that a repeat reads is multiplied at once; weights[l > 0]:
    [R·C, out, in], repeat by repeat. biases: [R, 1, C·out] and [R·C, 1, out].
    """

    def __init__(
        self,
        weights: Sequence[torch.Tensor],
        biases: Sequence[torch.Tensor],
        configurations: int,
        negative_slope: float,
        dropout: float,
    ) -> None:
        self.weights = list(weights)
        self.biases = list(biases)
        self.repeats = len(weights[0])
        self.configurations = configurations
        self.negative_slope = negative_slope
        self.dropout = dropout
        self._inputs: list[torch.Tensor] = []
        self._slopes: list[torch.Tensor] = []

    @classmethod
    def initial(
        cls,
        seed: int,
        repeats: Sequence[int],
        configurations: int,
        sizes: Sequence[tuple[int, int]],
        negative_slope: float,
        dropout: float,
        device: torch.device,
    ) -> Heads:
        """Draw every repeat's layers; a repeat number gives the same weights wherever the shapes are the same."""
        weights, biases = [], []
        for layer, (inputs, outputs) in enumerate(sizes):
            drawn = [initial_layer(seed, repeat, layer, inputs, outputs) for repeat in repeats]
            weight = torch.stack([torch.from_numpy(weight.T.copy()) for weight, _ in drawn]).to(device)
            bias = torch.stack([torch.from_numpy(bias) for _, bias in drawn]).to(device)
            weight = weight.unsqueeze(1).expand(-1, configurations, -1, -1)
            bias = bias.unsqueeze(1).expand(-1, configurations, -1)
            rows = (len(repeats), -1) if layer == 0 else (len(repeats) * configurations, outputs)
            weights.append(weight.reshape(*rows, inputs).clone())
            biases.append(bias.reshape(rows[0], 1, -1).clone())
        return cls(weights, biases, configurations, negative_slope, dropout)

    @property
    def parameters(self) -> list[Parameter]:
        """All weights and biases, layer by layer."""
        found = []
        for layer, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            if layer == 0:
                span = weight.shape[1] // self.configurations
                found += [Parameter(weight, axis=1, span=span), Parameter(bias, axis=2, span=span)]
            else:
                found += [Parameter(weight, times=self.repeats), Parameter(bias, times=self.repeats)]
        return found

    @property
    def hidden_widths(self) -> list[int]:
        """Widths after which dropout applies."""
        return [
            weight.shape[1] // (self.configurations if layer == 0 else 1)
            for layer, weight in enumerate(self.weights[:-1])
        ]

    def layers_of(self, lane: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """(weight [in, out], bias [out]) of every layer of the lane with this number: repeat by repeat."""
        repeat, configuration = divmod(lane, self.configurations)
        found = []
        for layer, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            if layer == 0:
                span = weight.shape[1] // self.configurations
                part = slice(configuration * span, (configuration + 1) * span)
                found.append((weight[repeat, part].t(), bias[repeat, 0, part]))
            else:
                found.append((weight[lane].t(), bias[lane, 0]))
        return found

    @torch.no_grad()
    def forward(self, features: torch.Tensor, masks: Sequence[torch.Tensor]) -> torch.Tensor:
        """Training pass: [R, B, D] → logits [R, C, B, outputs]; masks [R, B, width] per hidden layer."""
        self._inputs, self._slopes = [features], []
        hidden = multiply(features, self.weights[0].transpose(1, 2)).add_(self.biases[0])
        hidden = self._apart(hidden)
        for weight, bias, mask in zip(self.weights[1:], self.biases[1:], masks, strict=True):
            shared = mask.unsqueeze(1)
            slope = torch.where(hidden > 0, shared, shared * self.negative_slope)
            hidden = (hidden * slope).flatten(0, 1)
            self._slopes.append(slope.flatten(0, 1))
            self._inputs.append(hidden)
            hidden = multiply(hidden, weight.transpose(1, 2)).add_(bias)
            hidden = self._by_lane(hidden)
        return hidden

    @torch.no_grad()
    def backward(self, gradient: torch.Tensor, *, to_features: bool = False) -> list[torch.Tensor | Outer]:
        """Gradients in the order of `parameters`, from the logits' [R, C, B, outputs] of the last `forward`.

        With to_features one more is appended: the features' [R, B, D].
        """
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
        """Evaluation pass without dropout: [N, D], the same for all → [R·C, N, outputs], repeat by repeat."""
        first, lanes = self.weights[0], self.repeats * self.configurations
        hidden = torch.addmm(self.biases[0].view(-1), features, first.view(-1, first.shape[2]).t())
        hidden = hidden.view(len(features), lanes, -1).transpose(0, 1)
        for weight, bias in zip(self.weights[1:], self.biases[1:], strict=True):
            hidden = functional.leaky_relu(hidden.contiguous(), self.negative_slope)
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


def losses(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Unweighted cross entropy in nats per image, float32 [lanes, N]; logits [lanes, N, outputs], targets [N]."""
    if logits.shape[-1] == 1:
        margin = logits.squeeze(-1)
        return functional.softplus(margin) - margin * targets
    truth = logits.gather(-1, targets.expand(len(logits), -1).unsqueeze(-1)).squeeze(-1)
    return torch.logsumexp(logits, dim=-1) - truth


def predictions(logits: torch.Tensor) -> torch.Tensor:
    """Predicted class indices int64 [lanes, N]: above zero for one output, else the largest."""
    if logits.shape[-1] == 1:
        return (logits.squeeze(-1) > 0).long()
    return logits.argmax(dim=-1)
