"""What a group of lanes learns from, and the group that learns from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import nn

from trainables.features.samples import Samples
from trainables.learning.bodies.body import Body
from trainables.learning.bodies.cached import Cached
from trainables.learning.bodies.network import Network
from trainables.learning.draws import low_rank_factor
from trainables.learning.group import Group
from trainables.learning.learner import Images, Inputs, Lane, Learner, Resident
from trainables.learning.weights import Weights
from trainables.network.adapters.lora import DRAWN


@dataclass(frozen=True)
class Material:
    """All that a group of lanes learns from, on the device."""

    samples: Samples
    labels: torch.Tensor
    weights: torch.Tensor | None
    width: int
    inputs: Inputs
    """Of every row of the samples, as the frozen part gives it."""
    suffix: nn.Module | None
    """Inputs → features float32 [n, width]; None where these are the inputs."""
    layer: str
    images: Images | None = None
    """What is trained on in the place of `inputs`, where images change in each step."""
    depths: Mapping[str, int] = field(default_factory=dict)
    """Of each trained parameter, which weight layer it is in, counted back from the head: 1 is the last."""
    fresh: Callable[[int], Mapping[str, torch.Tensor]] | None = None
    """Values of the backbone as they are drawn for a repeat, by name; not needed where nothing of it is trained."""

    @property
    def features(self) -> torch.Tensor | None:
        """float32 [rows, width] where these are the inputs."""
        return self.inputs.values if isinstance(self.inputs, Resident) else None

    @property
    def live_parameters(self) -> int:
        """Trained weights of the backbone itself."""
        return sum(p.numel() for p in self.suffix.parameters() if p.requires_grad) if self.suffix is not None else 0


class Start(NamedTuple):
    """What a lane of a later stage begins with: the weights that its parent's repeat selected.

    diverged: whether that repeat did; these are its untrained ones then, and the lane has diverged at epoch 0.
    is_same: whether they are those of its result bit for bit.
    """

    weights: Weights
    diverged: bool = False
    is_same: bool = True


def begin_group(
    material: Material,
    lanes: Sequence[Lane],
    scoring_batch: int,
    epochs: int,
    device: torch.device,
    starts: Sequence[Start] = (),
) -> Group:
    """The group of lanes before its first epoch; starts: of each lane, where they are of a later stage."""
    learner = learner_of(lanes, material, [start.weights for start in starts])
    group = Group(list(lanes), learner, material.samples, epochs, scoring_batch, device)
    for lane, start in enumerate(starts):
        if start.diverged:
            group.diverged[lane] = 0
    return group


def learner_of(lanes: Sequence[Lane], material: Material, starts: Sequence[Weights] = ()) -> Learner:
    body: Body = Cached()
    if material.suffix is not None:
        adaptation = lanes[0].configuration.adaptation
        start = _start(material, lanes[0])
        factors = {name: adaptation.lr_decay**depth for name, depth in material.depths.items()}
        body = Network(
            material.suffix,
            material.labels.device,
            norms_move=adaptation.norms_move,
            start=start,
            lr_factors=factors,
            arithmetic=adaptation.arithmetic,
        )
    classes = len(lanes[0].configuration.data.classes)
    shares = torch.from_numpy(material.samples.shares(classes)).to(material.labels.device)
    return Learner(
        lanes, material.inputs, body, material.width, material.labels, material.weights, shares, material.images, starts
    )


def _start(material: Material, lane: Lane) -> Mapping[str, torch.Tensor] | None:
    """What is drawn for a repeat of what is trained, by name; None where nothing is."""
    seed = lane.configuration.data.seed
    if material.fresh and lane.configuration.adaptation.start == "drawn":
        return material.fresh(lane.repeat)
    assert material.suffix is not None
    own = {name: value.detach() for name, value in material.suffix.named_parameters() if value.requires_grad}
    drawn = {
        name: torch.from_numpy(low_rank_factor(seed, lane.repeat, name, *value.shape))
        for name, value in own.items()
        if name.endswith(f".{DRAWN}")
    }
    return {**own, **drawn} if drawn else None
