"""Learners hold the trainable weights of some lanes, train them on a batch and score rows; they know no files."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import nn

from search_spaces.configuration import Configuration
from trainables.learning.draws import dropout_masks, mask_keys
from trainables.learning.heads import Heads, layer_sizes
from trainables.learning.losses.loss import loss_of, mean_gradient, soft_targets
from trainables.learning.optimisers.optimiser import Optimiser
from trainables.learning.optimisers.rates import Parameter
from trainables.learning.replay import Replay


@dataclass(frozen=True)
class Lane:
    """One repeat of one configuration."""

    configuration: Configuration
    repeat: int


def lanes_of(configurations: Sequence[Configuration], repeats: Sequence[int]) -> list[Lane]:
    """A stack's lanes in their order: repeat by repeat, each with every configuration."""
    return [Lane(configuration, repeat) for repeat in repeats for configuration in configurations]


class Inputs(Protocol):
    """The frozen part's output for every sample row."""

    @property
    def is_on_device(self) -> bool:
        """Whether all rows lie on the learner's device, so that `gather` asks nothing of the host."""
        ...

    def gather(self, rows: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Frontier tensors float32 [n, …] of rows int64 [n], on the learner's device."""
        ...


class Learner(Protocol):
    """What a group of lanes trains with; states are named arrays, so that checkpoints need no code to be read."""

    def train(self, rows: torch.Tensor, epoch: int, first: int) -> None:
        """One optimiser step on rows int64 [repeats, B]; first is the position of the batch within the epoch."""
        ...

    def scale_learning_rates(self, factor: float) -> None:
        """See `Optimiser.scale_learning_rates`."""
        ...

    def score(self, rows: torch.Tensor) -> torch.Tensor:
        """Logits float32 [lanes, N, outputs] in eval mode, of rows int64 [N]."""
        ...

    def weights_of(self, lane: int) -> dict[str, np.ndarray]:
        """A lane's trained weights, float32: "head.<i>.weight" [in, out], "head.<i>.bias" [out], "body.<name>"."""
        ...

    def state(self) -> dict[str, np.ndarray]:
        """Weights and optimiser buffers, copied to the host."""
        ...

    def load(self, state: Mapping[str, np.ndarray]) -> None:
        """Take back what `state` gave."""
        ...


class _Base:
    """Head and optimiser, which every learner has, and their form in a checkpoint."""

    def __init__(
        self,
        lanes: Sequence[Lane],
        labels: torch.Tensor,
        weights: torch.Tensor | None,
        width: int,
        live: Sequence[torch.Tensor] = (),
    ) -> None:
        configurations = list(dict.fromkeys(lane.configuration for lane in lanes))
        repeats = list(dict.fromkeys(lane.repeat for lane in lanes))
        if list(lanes) != lanes_of(configurations, repeats):
            raise ValueError("the lanes of a stack are every repeat of every configuration, repeat by repeat")
        self.labels = labels
        self.weights = weights
        self.device = labels.device
        first = configurations[0]
        self.seed = first.data.seed
        self.repeats = repeats
        sizes = layer_sizes(width, first.head.non_linearities, first.outputs)
        count = len(configurations)
        self.heads = Heads.initial(
            self.seed, repeats, count, sizes, first.head.negative_slope, first.head.dropout, self.device
        )
        self.loss = loss_of(first.loss)
        keys = torch.zeros(len(repeats), 2, dtype=torch.int32, device=self.device)
        self._keys = [keys.clone() for _ in self.heads.hidden_widths]
        self._keys_of = -1
        self._replay = Replay(self._update, self.device)
        self.optimiser = Optimiser(
            [*self.heads.parameters, *(Parameter(tensor) for tensor in live)],
            [configuration.optimiser for configuration in configurations],
        )

    def train(self, rows: torch.Tensor, epoch: int, first: int) -> None:
        if self._keys_of != epoch:
            for layer, keys in enumerate(self._keys):
                keys.copy_(mask_keys(self.seed, self.repeats, epoch, layer))
            self._keys_of = epoch
        position = torch.full((), first, dtype=torch.int32, device=self.device)
        self._replay(rows, position, *self._fetched(rows))

    def scale_learning_rates(self, factor: float) -> None:
        self.optimiser.scale_learning_rates(factor)

    def _fetched(self, rows: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Whatever a step reads that must be fetched through the host."""
        return ()

    def _update(self, rows: torch.Tensor, first: torch.Tensor, *fetched: torch.Tensor) -> None:
        """One step on the device alone; first: int32, the position of the batch within the epoch."""
        raise NotImplementedError

    def weights_of(self, lane: int) -> dict[str, np.ndarray]:
        found: dict[str, np.ndarray] = {}
        for index, (weight, bias) in enumerate(self.heads.layers_of(lane)):
            found[f"head.{index}.weight"] = weight.cpu().numpy().copy()
            found[f"head.{index}.bias"] = bias.cpu().numpy().copy()
        return found

    def state(self) -> dict[str, np.ndarray]:
        optimiser = self.optimiser
        arrays = {f"parameter.{i}": tensor.cpu().numpy().copy() for i, tensor in enumerate(optimiser.tensors)}
        arrays |= {f"buffer.{i}": tensor.cpu().numpy().copy() for i, tensor in enumerate(optimiser.buffers)}
        arrays["steps"] = np.array([int(optimiser.steps)], dtype=np.int64)
        return arrays

    @torch.no_grad()
    def load(self, state: Mapping[str, np.ndarray]) -> None:
        for i, tensor in enumerate(self.optimiser.tensors):
            tensor.copy_(_shaped(state[f"parameter.{i}"], tensor))
        for i, tensor in enumerate(self.optimiser.buffers):
            tensor.copy_(_shaped(state[f"buffer.{i}"], tensor))
        self.optimiser.steps.fill_(int(state["steps"][0]))

    def _loss_gradient(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """By the logits [R, C, B, outputs]; labels int64 [R, B]."""
        return mean_gradient(self.loss, logits, soft_targets(labels, logits.shape[-1]), self.weights)

    def _masks(self, first: torch.Tensor, batch: int) -> list[torch.Tensor]:
        widths, dropout = self.heads.hidden_widths, self.heads.dropout
        return [
            dropout_masks(keys, first, batch, width, dropout) for keys, width in zip(self._keys, widths, strict=True)
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

    def _update(self, rows: torch.Tensor, first: torch.Tensor, *fetched: torch.Tensor) -> None:
        repeats, batch = rows.shape
        rows = rows.reshape(-1)
        features = self.features.index_select(0, rows).view(repeats, batch, -1)
        logits = self.heads.forward(features, self._masks(first, batch))
        labels = self.labels.index_select(0, rows).view(repeats, batch)
        self.optimiser.step(self.heads.backward(self._loss_gradient(logits, labels)))

    def score(self, rows: torch.Tensor) -> torch.Tensor:
        return self.heads.score(self.features.index_select(0, rows))


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
        self.inputs = inputs
        self.suffix = copy.deepcopy(suffix).to(labels.device).eval()
        self.live = {name: value for name, value in self.suffix.named_parameters() if value.requires_grad}
        super().__init__([lane], labels, weights, width, [parameter.data for parameter in self.live.values()])

    def _fetched(self, rows: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return () if self.inputs.is_on_device else self.inputs.gather(rows[0])

    def _update(self, rows: torch.Tensor, first: torch.Tensor, *fetched: torch.Tensor) -> None:
        batch = rows.shape[1]
        frontier = fetched or self.inputs.gather(rows[0])
        features = self.suffix(frontier)
        logits = self.heads.forward(features.detach().unsqueeze(0), self._masks(first, batch))
        gradient = self._loss_gradient(logits, self.labels[rows])
        *gradients, to_features = self.heads.backward(gradient, to_features=True)
        assert isinstance(to_features, torch.Tensor)
        deep = torch.autograd.grad(features, list(self.live.values()), grad_outputs=to_features[0])
        self.optimiser.step([*gradients, *deep])

    @torch.no_grad()
    def score(self, rows: torch.Tensor) -> torch.Tensor:
        return self.heads.score(self.suffix(self.inputs.gather(rows)))

    def weights_of(self, lane: int) -> dict[str, np.ndarray]:
        body = {f"body.{name}": value.detach().cpu().numpy().copy() for name, value in self.live.items()}
        return super().weights_of(lane) | body


def _shaped(values: np.ndarray, like: torch.Tensor) -> torch.Tensor:
    """An array of a checkpoint; `copy_` alone would also take one that can be broadcast."""
    if values.shape != tuple(like.shape):
        raise ValueError(f"expected an array of shape {tuple(like.shape)}, found {values.shape}")
    return torch.from_numpy(values)
