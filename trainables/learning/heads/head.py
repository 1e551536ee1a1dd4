"""The contract of a head."""

from __future__ import annotations

from typing import Protocol, cast

import numpy as np
import torch
from torch import nn

from search_spaces.configuration import Configuration
from search_spaces.settings import head as settings
from trainables.learning.heads.layer import Layers, modules


class Head(Protocol):
    """How the new layers are laid out. `search_spaces.settings.head.HEADS` names them all."""

    def __init__(self, same: settings.Head) -> None:
        """same: settings of the stack."""

    @property
    def is_written_out(self) -> bool:
        """Whether it is linear layers with one activation and one dropout between them: lanes of such heads are
        stacked, by products of all of them that are written out (`WrittenOut`). Any other is recorded, lane by lane."""

    def layers(self, width: int, outputs: int) -> Layers:
        """From features [N, width] to logits [N, outputs]."""


class Fitted(Head, Protocol):
    """A head without steps, of which its variant says `is_fitted`. One fit is its training; its lanes take turns."""

    def fit(self, features: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> dict[str, np.ndarray]:
        """Values float32 of all that its plain modules hold, by their names: "0.weight" [outputs, D] …

        Of every training row: features float32 [N, D], targets float32 [N, outputs] as a loss has them (`Loss.each`),
        weights float32 [N] of the images' classes, 1 where these have none. A pure function on one thread.
        """


def head_of(same: settings.Head) -> Head:
    kind: type[Head] = settings.HEADS.load(same.name)
    return kind(same)


def fitted_of(same: settings.Head) -> Fitted | None:
    """The head where it is one that is fitted."""
    return cast(Fitted, head_of(same)) if same.is_fitted else None


def layers_of(configuration: Configuration, width: int) -> Layers:
    """Of one lane's head on features of this width."""
    return head_of(configuration.head).layers(width, configuration.outputs)


def scoring_head(configuration: Configuration, width: int, device: torch.device) -> nn.Sequential:
    """One lane's head as plain modules in eval mode, which weights are `put` into."""
    return modules(layers_of(configuration, width)).to(device).eval().requires_grad_(False)
