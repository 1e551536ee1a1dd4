"""The contract of a head."""

from __future__ import annotations

from typing import Protocol

from search_spaces.configuration import Configuration
from search_spaces.settings import head as settings
from trainables.learning.heads.layer import Layers


class Head(Protocol):
    """How the new layers are laid out. `search_spaces.settings.head.HEADS` names them all."""

    def __init__(self, same: settings.Head) -> None:
        """same: settings of the stack."""

    @property
    def is_written_out(self) -> bool:
        """Whether it is linear layers with one LeakyReLU and one dropout between them: lanes of such heads are stacked,
        by products of all of them that are written out (`WrittenOut`). Any other is recorded, lane by lane."""

    def layers(self, width: int, outputs: int) -> Layers:
        """From features [N, width] to logits [N, outputs]."""


def head_of(same: settings.Head) -> Head:
    kind: type[Head] = settings.HEADS.load(same.name)
    return kind(same)


def layers_of(configuration: Configuration, width: int) -> Layers:
    """Of one lane's head on features of this width."""
    return head_of(configuration.head).layers(width, configuration.outputs)
