"""Trains some lanes on batches and scores rows; knows no files.

One path: rows → inputs → augmentation → body → head → loss → rule. Where an augmentation changes images, their frozen
part is computed before the body.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import nn

from search_spaces.configuration import Configuration
from trainables.features.store import frozen_values
from trainables.learning.augmentations.augmentation import Batch, augmentations_of, mixings_of
from trainables.learning.augmentations.one_of import OneOf
from trainables.learning.averages import Averages
from trainables.learning.bodies.body import Body
from trainables.learning.draws import dropout_masks, mask_keys
from trainables.learning.heads.head import Fitted, fitted_of
from trainables.learning.heads.lanes import initial_heads
from trainables.learning.heads.layer import dropouts
from trainables.learning.losses.loss import image_weights, loss_of, mean_gradient
from trainables.learning.optimisers.optimiser import Optimiser
from trainables.learning.optimisers.rates import Parameter, Seat
from trainables.learning.replay import Replay
from trainables.learning.tasks.task import task_of
from trainables.learning.weights import Weights
from trainables.machine.arithmetic import undetermined


@dataclass(frozen=True)
class Lane:
    """One repeat of one configuration."""

    configuration: Configuration
    repeat: int


def lanes_of(configurations: Sequence[Configuration], repeats: Sequence[int]) -> list[Lane]:
    """A stack's lanes in their order: repeat by repeat, each with every configuration."""
    return [Lane(configuration, repeat) for repeat in repeats for configuration in configurations]


class Inputs(Protocol):
    """What is read of every sample row: the frozen part's output, or the image itself."""

    @property
    def is_on_device(self) -> bool:
        """Whether all rows lie on the learner's device, so that `gather` asks nothing of the host."""
        ...

    def gather(self, rows: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Tensors float32 [n, …] of rows int64 [n], on the learner's device."""
        ...


class Resident:
    """One tensor of all rows, float32 [rows, …], on the device: pooled features, which are small."""

    is_on_device = True

    def __init__(self, values: torch.Tensor) -> None:
        self.values = values

    def gather(self, rows: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return (self.values.index_select(0, rows),)


class ImageReader(Inputs, Protocol):
    """Images, standardised as the network takes them (`gather`), and before that."""

    def plain(self, rows: np.ndarray) -> torch.Tensor:
        """Images float32 [n, 3, S, S] of rows int64 [n], from 0 (black) to 1 (white)."""
        ...

    def standardised(self, plain: torch.Tensor) -> torch.Tensor:
        """Of images as `plain` gives them."""
        ...


class Images:
    """Images that change in each step: read as they are, and taken through the frozen part once they have changed."""

    def __init__(self, reader: ImageReader, prefix: nn.Module, precision: str) -> None:
        """prefix: standardised images → what `inputs` hold; precision: of the frozen part."""
        self.reader = reader
        self.prefix = prefix
        self.precision = precision

    def frozen(self, images: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        return frozen_values(self.prefix, images[0], self.precision)


class Learner:
    """Body, heads and optimiser of a stack's lanes, which score rows of `inputs` and are trained on them too.

    width: D of the body's features. labels: int64 [rows], on the device. weights: float32 [K] of the classes, or None.
    shares: float32 [K], what each class is of the rows that are trained on; None: they are alike.
    images: trained on in the place of `inputs`, where these do not hold what an augmentation changes.
    starts: what each lane begins with in the place of what is drawn or named, as `weights_of` gave it.
    """

    def __init__(
        self,
        lanes: Sequence[Lane],
        inputs: Inputs,
        body: Body,
        width: int,
        labels: torch.Tensor,
        weights: torch.Tensor | None,
        shares: torch.Tensor | None,
        images: Images | None = None,
        starts: Sequence[Weights] = (),
    ) -> None:
        configurations = list(dict.fromkeys(lane.configuration for lane in lanes))
        self.repeats = list(dict.fromkeys(lane.repeat for lane in lanes))
        if list(lanes) != lanes_of(configurations, self.repeats):
            raise ValueError("the lanes of a stack are every repeat of every configuration, repeat by repeat")
        if body.parameters and len(lanes) > 1:
            raise ValueError("the lanes of a body that trains are trained in turn")
        first = configurations[0]
        self.inputs = inputs
        self.images = images
        self._trained_on = images.reader if images is not None else inputs
        self.body = body
        self.labels = labels
        self.weights = weights
        self.device = labels.device
        self.seed = first.data.seed
        self.heads = initial_heads(configurations, self.repeats, width, self.device)
        self.augmentations = augmentations_of(first.augmentation)
        self.mixing = OneOf(mixings_of(first.augmentation))
        if self.augmentations and images is None:
            raise ValueError("augmentations change images, of which the learner has none")
        self._mixes_images = images is not None and any(v.mixes and v.from_pixels for v in first.augmentation.variants)
        self.task = task_of(first.data)
        self.loss = loss_of(first.loss, shares)
        self.fitted: Fitted | None = fitted_of(first.head)
        self._dropouts = dropouts(self.heads.layers)
        self._keys = [torch.zeros(len(self.repeats), 2, dtype=torch.int32, device=self.device) for _ in self._dropouts]
        self._keys_of = -1
        self._replay = Replay(self._update, self.device)
        self.configurations = len(configurations)
        for lane, start in enumerate(starts):
            self._begin_with(lane, start)
        self.parameters = [*self.heads.parameters, *body.parameters]
        self.optimiser = Optimiser(self.parameters, [configuration.optimiser for configuration in configurations])
        self.buffers = [*self.heads.buffers, *body.buffers]
        """What moves without being trained; each batch needs two rows then."""
        self.averages = Averages([*self.optimiser.tensors, *self.buffers], first.optimiser.average)
        """Of all that is trained or moves, where it is they that are scored and kept."""

    def train(self, rows: torch.Tensor, epoch: int, first: int) -> None:
        """One optimiser step on rows int64 [repeats, B]; first is the position of the batch within the epoch.

        Of a head that is fitted, the fit to these rows.
        """
        if self.fitted is not None:
            self._fit(self.fitted, rows)
            return
        if self._keys_of != epoch:
            for layer, keys in enumerate(self._keys):
                keys.copy_(mask_keys(self.seed, self.repeats, epoch, layer))
            self._keys_of = epoch
        position = torch.full((), first, dtype=torch.int32, device=self.device)
        # Whatever comes from the host is fetched before the step, which a GPU may replay
        batch = Batch(self.seed, tuple(self.repeats), epoch, first, rows.shape[1])
        drawn = self.mixing.draw(batch)
        fetched = self._fetched(rows.reshape(-1), batch)
        self._replay(rows, position, *(tensor.to(self.device) for tensor in drawn), *fetched)

    def _fetched(self, rows: torch.Tensor, batch: Batch) -> tuple[torch.Tensor, ...]:
        """What a step takes of its inputs from outside: nothing where they lie on the device, unless images change."""
        if self.images is None or not self.augmentations:
            return () if self._trained_on.is_on_device else self._trained_on.gather(rows)
        reader = self.images.reader
        images = reader.plain(rows.cpu().numpy())
        with undetermined(self._replay.undetermined):
            for one in self.augmentations:
                images = one.apply(images, one.draw(batch))
        return (reader.standardised(images),)

    @property
    def undetermined(self) -> set[str]:
        """Operations of its steps that may give other bits each time."""
        return self._replay.undetermined

    def scale_learning_rates(self, factor: float) -> None:
        """See `Optimiser.scale_learning_rates`."""
        self.optimiser.scale_learning_rates(factor)

    def score(self, rows: torch.Tensor) -> torch.Tensor:
        """Logits float32 [lanes, N, outputs] in eval mode, of rows int64 [N]."""
        inputs = self.inputs.gather(rows)
        with self.averages.in_place():
            return self.heads.score(self.body.score(inputs))

    def weights_of(self, lane: int) -> dict[str, np.ndarray]:
        """What a lane trained or moved, as it is scored, by the plain network's names: "head.<name>", "body.<name>"."""
        with self.averages.in_place():
            named = {"head": self.heads.state_of(lane), "body": self.body.state()}
            return {f"{part}.{name}": _copied(value) for part, state in named.items() for name, value in state.items()}

    @torch.no_grad()
    def _begin_with(self, lane: int, weights: Weights) -> None:
        """What `weights_of` gave of a lane that trained no more than this one; the rest stays as it is."""
        named = {"head": self.heads.state_of(lane), "body": self.body.state()}
        own = {f"{part}.{name}": tensor for part, state in named.items() for name, tensor in state.items()}
        for name, values in weights.items():
            if name not in own:
                raise ValueError(f"a stage trains at least what its parent trained, and that is {name} too")
            own[name].copy_(_shaped(values, own[name]))

    def state(self) -> dict[str, np.ndarray]:
        """Everything that changes, copied to the host under names of its own, so that a checkpoint needs no code."""
        return {name: _copied(tensor) for name, tensor in self._tensors().items()}

    @torch.no_grad()
    def load(self, state: Mapping[str, np.ndarray]) -> None:
        """Take back what `state` gave."""
        for name, tensor in self._tensors().items():
            tensor.copy_(_shaped(state[name], tensor))

    @torch.no_grad()
    def take_lane(self, lane: int, state: Mapping[str, np.ndarray], there: Seat) -> None:
        """Have a lane go on from where it is in `state`, of a stack in which it has another seat.

        Lanes of one stack have made equally many steps.
        """
        here = Seat(lane, len(self.repeats) * self.configurations, self.configurations)
        layouts = self._layouts()
        for name, tensor in self._tensors().items():
            layout = layouts.get(name)
            mine, theirs = (layout.part(here), layout.part(there)) if layout else (..., ...)
            tensor[mine].copy_(_shaped(state[name][theirs], tensor[mine]))

    def _layouts(self) -> dict[str, Parameter]:
        """How lanes lie in `_tensors`; those that are not in it are of one lane, or the same for all."""
        buffers = self.optimiser.rule.buffers_per_parameter
        return {
            f"{kind}.{count * place + one}": parameter
            for kind, count in (("parameter", 1), ("buffer", buffers), ("average", 1))
            for place, parameter in enumerate(self.parameters)
            for one in range(count)
        }

    def _tensors(self) -> dict[str, torch.Tensor]:
        kinds = {"parameter": self.optimiser.tensors, "buffer": self.optimiser.buffers, "moving": self.buffers}
        tensors = {f"{kind}.{place}": tensor for kind, several in kinds.items() for place, tensor in enumerate(several)}
        return {**tensors, "steps": self.optimiser.steps, **self.averages.state()}

    def _update(self, rows: torch.Tensor, first: torch.Tensor, *tensors: torch.Tensor) -> None:
        """One step on the device alone; first: int32, the position of the batch within the epoch.

        tensors: what is drawn of how they are mixed, then what was fetched of the inputs, if anything.
        """
        repeats, batch = rows.shape
        drawn, fetched = tensors[: self.mixing.draws], tensors[self.mixing.draws :]
        inputs = fetched or self._trained_on.gather(rows.reshape(-1))
        labels = self.labels.index_select(0, rows.reshape(-1)).view(repeats, batch)
        targets = self.task.targets(labels)
        if self._mixes_images:
            inputs, targets = self.mixing.apply(inputs, targets, *drawn)
        if self.images is not None:
            inputs = self.images.frozen(inputs)
        if not self._mixes_images:
            inputs, targets = self.mixing.apply(inputs, targets, *drawn)
        features = self.body.forward(inputs).view(repeats, batch, -1)
        logits = self.heads.forward(features, self._masks(first, batch))
        gradient = mean_gradient(self.loss, logits, targets, self.weights)
        if self.body.parameters:
            *gradients, to_features = self.heads.backward(gradient, to_features=True)
            assert isinstance(to_features, torch.Tensor)
            self.optimiser.step([*gradients, *self.body.backward(to_features.flatten(0, 1))])
        else:
            self.optimiser.step(self.heads.backward(gradient))
        self.averages.update()

    @torch.no_grad()
    def _fit(self, head: Fitted, rows: torch.Tensor) -> None:
        """rows: int64 [1, N], which are taken in their own order, so that repeats do not differ in last bits."""
        (rows,) = rows.sort().values
        targets = self.task.targets(self.labels[rows].unsqueeze(0)).flatten(0, 2)
        weights = torch.ones(len(rows)) if self.weights is None else image_weights(self.weights, targets).squeeze(1)
        features = self.body.score(self.inputs.gather(rows))
        fitted = head.fit(_copied(features), _copied(targets), _copied(weights))
        for name, tensor in self.heads.state_of(0).items():
            tensor.copy_(_shaped(fitted[name], tensor))

    def _masks(self, first: torch.Tensor, batch: int) -> list[torch.Tensor]:
        return [
            dropout_masks(keys, first, batch, width, share)
            for keys, (width, share) in zip(self._keys, self._dropouts, strict=True)
        ]


def _copied(tensor: torch.Tensor) -> np.ndarray:
    values: np.ndarray = tensor.detach().cpu().numpy().copy()
    return values


def _shaped(values: np.ndarray, like: torch.Tensor) -> torch.Tensor:
    """An array of a checkpoint; `copy_` alone would also take one that can be broadcast."""
    if values.shape != tuple(like.shape):
        raise ValueError(f"expected an array of shape {tuple(like.shape)}, found {values.shape}")
    return torch.from_numpy(values)
