"""What a group of lanes learns from, and the group that learns from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from orchestrator.store.schema import Recipe
from trainables.features.samples import Samples
from trainables.learning.group import Group
from trainables.learning.learners import DeepLearner, HeadLearner, Inputs, Lane, Learner


@dataclass(frozen=True)
class Material:
    """All that a group of lanes learns from, on the device."""

    samples: Samples
    labels: torch.Tensor
    weights: torch.Tensor | None
    width: int
    features: torch.Tensor | None
    """float32 [rows, D] where nothing of the backbone is trained."""
    inputs: Inputs | None
    suffix: nn.Module | None
    layer: str

    @property
    def live_parameters(self) -> int:
        """Trained weights of the backbone itself."""
        return sum(p.numel() for p in self.suffix.parameters() if p.requires_grad) if self.suffix is not None else 0


def begin_group(material: Material, lanes: Sequence[Lane], recipe: Recipe, epochs: int, device: torch.device) -> Group:
    """The group of lanes that a recipe describes, before its first epoch."""
    learner = learner_of(lanes, material)
    return Group(list(lanes), learner, material.samples, epochs, recipe.scoring_batch, device)


def learner_of(lanes: Sequence[Lane], material: Material) -> Learner:
    if material.features is not None:
        return HeadLearner(lanes, material.features, material.labels, material.weights)
    if material.suffix is None or material.inputs is None:
        raise ValueError("neither pooled features nor a suffix to train")
    return DeepLearner(lanes[0], material.inputs, material.suffix, material.width, material.labels, material.weights)
