"""The new layers on top, for a stack of lanes at once: n × (linear, LeakyReLU, dropout), then the output layer.

Each added layer halves the width. A lane is one repeat (of one configuration); lanes never mix. Forward and backward
are written out, because a head is a handful of batched products and recording them costs more than computing them.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional

from trainables.draws import initial_layer


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
    """Weights float32 [lanes, in, out] and biases float32 [lanes, 1, out] of every layer."""

    def __init__(
        self, weights: Sequence[torch.Tensor], biases: Sequence[torch.Tensor], negative_slope: float, dropout: float
    ) -> None:
        self.weights = list(weights)
        self.biases = list(biases)
        self.negative_slope = negative_slope
        self.dropout = dropout
        self._inputs: list[torch.Tensor] = []
        self._slopes: list[torch.Tensor] = []

    @classmethod
    def initial(
        cls,
        seed: int,
        repeats: Sequence[int],
        sizes: Sequence[tuple[int, int]],
        negative_slope: float,
        dropout: float,
        device: torch.device,
    ) -> Heads:
        """Draw every lane's layers; a repeat number gives the same weights wherever the shapes are the same."""
        weights, biases = [], []
        for layer, (inputs, outputs) in enumerate(sizes):
            drawn = [initial_layer(seed, repeat, layer, inputs, outputs) for repeat in repeats]
            weights.append(torch.stack([torch.from_numpy(weight) for weight, _ in drawn]).to(device))
            biases.append(torch.stack([torch.from_numpy(bias) for _, bias in drawn]).unsqueeze(1).to(device))
        return cls(weights, biases, negative_slope, dropout)

    @property
    def parameters(self) -> list[torch.Tensor]:
        """All weights and biases, layer by layer."""
        return [tensor for pair in zip(self.weights, self.biases, strict=True) for tensor in pair]

    @property
    def hidden_widths(self) -> list[int]:
        """Widths after which dropout applies."""
        return [weight.shape[2] for weight in self.weights[:-1]]

    @torch.no_grad()
    def forward(self, features: torch.Tensor, masks: Sequence[torch.Tensor]) -> torch.Tensor:
        """Training pass: [lanes, B, D] → logits [lanes, B, outputs]; masks [lanes, B, width] per hidden layer."""
        self._inputs, self._slopes = [features], []
        hidden = features
        for weight, bias, mask in zip(self.weights[:-1], self.biases[:-1], masks, strict=True):
            hidden = torch.baddbmm(bias, hidden, weight)
            slope = torch.where(hidden > 0, mask, mask * self.negative_slope)
            hidden = hidden * slope
            self._slopes.append(slope)
            self._inputs.append(hidden)
        return torch.baddbmm(self.biases[-1], hidden, self.weights[-1])

    @torch.no_grad()
    def backward(self, gradient: torch.Tensor, *, to_features: bool = False) -> list[torch.Tensor]:
        """Gradients in the order of `parameters`, from the logits' [lanes, B, outputs] of the last `forward`.

        With to_features one more is appended: the features' [lanes, B, D].
        """
        gradients: list[torch.Tensor] = []
        for layer in range(len(self.weights) - 1, -1, -1):
            weight_gradient = torch.bmm(self._inputs[layer].transpose(1, 2), gradient)
            gradients[:0] = [weight_gradient, gradient.sum(dim=1, keepdim=True)]
            if layer:
                gradient = torch.bmm(gradient, self.weights[layer].transpose(1, 2)).mul_(self._slopes[layer - 1])
            elif to_features:
                gradients.append(torch.bmm(gradient, self.weights[0].transpose(1, 2)))
        self._inputs, self._slopes = [], []
        return gradients

    @torch.no_grad()
    def score(self, features: torch.Tensor) -> torch.Tensor:
        """Evaluation pass without dropout: [N, D] shared by all lanes, or [lanes, N, D] → [lanes, N, outputs]."""
        lanes = self.weights[0].shape[0]
        hidden = features.expand(lanes, -1, -1) if features.dim() == 2 else features
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            hidden = functional.leaky_relu(torch.baddbmm(bias, hidden, weight), self.negative_slope)
        return torch.baddbmm(self.biases[-1], hidden, self.weights[-1])


def loss_gradient(logits: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor | None) -> torch.Tensor:
    """Gradient of Σ w·cross entropy / B by the logits: [lanes, B, outputs], targets int64 [lanes, B], weights [K]."""
    if logits.shape[-1] == 1:
        gradient = torch.sigmoid(logits).sub_(targets.unsqueeze(-1))
    else:
        gradient = torch.softmax(logits, dim=-1)
        gradient.scatter_add_(-1, targets.unsqueeze(-1), torch.full_like(targets, -1, dtype=logits.dtype).unsqueeze(-1))
    if weights is not None:
        gradient.mul_(weights[targets].unsqueeze(-1))
    return gradient.div_(logits.shape[1])


def losses(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Unweighted cross entropy in nats per image, float64 [lanes, N]; logits [lanes, N, outputs], targets [N]."""
    wide = logits.double()
    if logits.shape[-1] == 1:
        margin = wide.squeeze(-1)
        return functional.softplus(margin) - margin * targets
    return torch.logsumexp(wide, dim=-1) - wide.gather(-1, targets.expand(len(wide), -1).unsqueeze(-1)).squeeze(-1)


def predictions(logits: torch.Tensor) -> torch.Tensor:
    """Predicted class indices int64 [lanes, N]: above zero for one output, else the largest."""
    if logits.shape[-1] == 1:
        return (logits.squeeze(-1) > 0).long()
    return logits.argmax(dim=-1)
