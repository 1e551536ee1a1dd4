"""Learners hold the trainable weights of some lanes, train them on a batch and score rows; they know no files."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import nn

from orchestrator.store.schema import Configuration
from trainables.draws import dropout_masks, mask_keys
from trainables.heads import Heads, layer_sizes, loss_gradient
from trainables.optimisers import Optimiser, Rule


@dataclass(frozen=True)
class Lane:
    """One repeat of one configuration."""

    configuration: Configuration
    repeat: int


class Inputs(Protocol):
    """The frozen part's output for every sample row."""

    def gather(self, rows: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Frontier tensors float32 [n, …] of rows int64 [n], on the learner's device."""
        ...


class Learner(Protocol):
    """What a group of lanes trains with; states are named arrays, so that checkpoints need no code to be read."""

    def train(self, rows: torch.Tensor, epoch: int, first: int) -> None:
        """One optimiser step on rows int64 [lanes, B]; first is the position of the batch within the epoch."""
        ...

    def score(self, rows: torch.Tensor) -> torch.Tensor:
        """Logits float32 [lanes, N, outputs] in eval mode, of rows int64 [N]."""
        ...

    def state(self) -> dict[str, np.ndarray]:
        """Weights and optimiser buffers, copied to the host."""
        ...

    def load(self, state: Mapping[str, np.ndarray]) -> None:
        """Take back what `state` gave."""
        ...


class _Base:
    """Head and optimiser, which every learner has, and their form in a checkpoint."""

    def __init__(self, lanes: Sequence[Lane], labels: torch.Tensor, weights: torch.Tensor | None, width: int) -> None:
        self.lanes = list(lanes)
        self.labels = labels
        self.weights = weights
        self.device = labels.device
        first = lanes[0].configuration
        self.seed = first.study_seed
        self.repeats = [lane.repeat for lane in lanes]
        sizes = layer_sizes(width, first.non_linearities, first.outputs)
        self.heads = Heads.initial(self.seed, self.repeats, sizes, first.negative_slope, first.dropout, self.device)
        self._keys: tuple[int, list[torch.Tensor]] = (-1, [])

    def _optimiser(self, parameters: Sequence[torch.Tensor]) -> Optimiser:
        settings = [lane.configuration for lane in self.lanes]
        return Optimiser(
            Rule.of(settings[0]),
            parameters,
            [s.lr for s in settings],
            [s.momentum for s in settings],
            [s.weight_decay for s in settings],
        )

    def _masks(self, epoch: int, first: int, batch: int) -> list[torch.Tensor]:
        widths = self.heads.hidden_widths
        if self._keys[0] != epoch:
            keys = [mask_keys(self.seed, self.repeats, epoch, layer).to(self.device) for layer in range(len(widths))]
            self._keys = (epoch, keys)
        dropout = self.heads.dropout
        return [
            dropout_masks(key, first, batch, width, dropout) for key, width in zip(self._keys[1], widths, strict=True)
        ]


class HeadLearner(_Base):
    """Nothing of the backbone is trained: heads on pooled features, any number of lanes stacked.

    features: float32 [rows, D] on the device; labels: int64 [rows]; weights: float32 [K] or None.
    """

    def __init__(
        self, lanes: Sequence[Lane], features: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor | None
    ) -> None:
        super().__init__(lanes, labels, weights, features.shape[1])
        self.features = features
        self.optimiser = self._optimiser(self.heads.parameters)

    def train(self, rows: torch.Tensor, epoch: int, first: int) -> None:
        lanes, batch = rows.shape
        features = self.features.index_select(0, rows.reshape(-1)).view(lanes, batch, -1)
        logits = self.heads.forward(features, self._masks(epoch, first, batch))
        gradient = loss_gradient(logits, self.labels[rows], self.weights)
        self.optimiser.step(self.heads.backward(gradient))

    def score(self, rows: torch.Tensor) -> torch.Tensor:
        return self.heads.score(self.features.index_select(0, rows))

    def state(self) -> dict[str, np.ndarray]:
        return _named(self.heads.parameters, self.optimiser)

    def load(self, state: Mapping[str, np.ndarray]) -> None:
        _restore(state, self.heads.parameters, self.optimiser)


class DeepLearner(_Base):
    """The last weight layers of the backbone are trained with the head, one lane, from the cached frontier on.

    suffix maps the tuple of frontier tensors to features [N, D]; its parameters that require a gradient are trained. It
    stays in eval mode: batch norm trains scale and shift and keeps its stored statistics.
    """

    def __init__(
        self,
        lane: Lane,
        inputs: Inputs,
        suffix: nn.Module,
        width: int,
        labels: torch.Tensor,
        weights: torch.Tensor | None,
    ) -> None:
        super().__init__([lane], labels, weights, width)
        self.inputs = inputs
        self.suffix = copy.deepcopy(suffix).to(self.device).eval()
        self.live = [parameter for parameter in self.suffix.parameters() if parameter.requires_grad]
        self.optimiser = self._optimiser([*self.heads.parameters, *(p.data for p in self.live)])

    def train(self, rows: torch.Tensor, epoch: int, first: int) -> None:
        batch = rows.shape[1]
        frontier = self.inputs.gather(rows[0])
        features = self.suffix(frontier)
        logits = self.heads.forward(features.detach().unsqueeze(0), self._masks(epoch, first, batch))
        gradient = loss_gradient(logits, self.labels[rows], self.weights)
        gradients = self.heads.backward(gradient, to_features=True)
        deep = torch.autograd.grad(features, self.live, grad_outputs=gradients.pop()[0])
        self.optimiser.step([*gradients, *deep])

    @torch.no_grad()
    def score(self, rows: torch.Tensor) -> torch.Tensor:
        return self.heads.score(self.suffix(self.inputs.gather(rows)))

    def state(self) -> dict[str, np.ndarray]:
        return _named([*self.heads.parameters, *(p.data for p in self.live)], self.optimiser)

    def load(self, state: Mapping[str, np.ndarray]) -> None:
        _restore(state, [*self.heads.parameters, *(p.data for p in self.live)], self.optimiser)


def _named(parameters: Sequence[torch.Tensor], optimiser: Optimiser) -> dict[str, np.ndarray]:
    arrays = {f"parameter.{i}": tensor.detach().cpu().numpy().copy() for i, tensor in enumerate(parameters)}
    arrays |= {f"buffer.{i}": tensor.cpu().numpy().copy() for i, tensor in enumerate(optimiser.buffers)}
    arrays["steps"] = np.array([optimiser.steps], dtype=np.int64)
    return arrays


@torch.no_grad()
def _restore(state: Mapping[str, np.ndarray], parameters: Sequence[torch.Tensor], optimiser: Optimiser) -> None:
    for i, tensor in enumerate(parameters):
        tensor.copy_(torch.from_numpy(state[f"parameter.{i}"]))
    for i, tensor in enumerate(optimiser.buffers):
        tensor.copy_(torch.from_numpy(state[f"buffer.{i}"]))
    optimiser.steps = int(state["steps"][0])
