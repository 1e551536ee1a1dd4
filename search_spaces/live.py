"""What changes while a network is trained: all before it is computed once and kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from orchestrator.store.record import canonical_json

LAST = "last"
"""The adaptation that trains the last weight layers, or none."""


class Scope(NamedTuple):
    """What of a backbone is trained: the values of its adaptation that say so, idle where they do not matter.

    name: of the adaptation. unfrozen: of "last". layers: of "layers". rank, alpha: of "lora".
    """

    name: str = LAST
    unfrozen: int = 0
    layers: tuple[str, ...] = ()
    rank: int = 1
    alpha: float = 1.0

    @property
    def trains_body(self) -> bool:
        return self.name != LAST or self.unfrozen > 0

    @property
    def key(self) -> int | str:
        """What names it in keys: the number of the last layers alone, where it is these."""
        return self.unfrozen if self.name == LAST else canonical_json(list(self))


class Live(NamedTuple):
    """scope: what of the backbone is trained. from_pixels: images that are trained on change, so that each step
    computes the frozen part of them; scores read what is kept."""

    scope: Scope
    from_pixels: bool

    @property
    def trains_body(self) -> bool:
        """Whether anything of the backbone is trained, so that each repeat has a body of its own."""
        return self.scope.trains_body

    @property
    def has_features(self) -> bool:
        """Whether the pooled features of each view are all that training reads."""
        return not (self.trains_body or self.from_pixels)


def moves_statistics(value: Callable[[str], Any]) -> bool:
    """Whether batch norm learns statistics, by values of settings by path; a batch of one image has none."""
    in_head = value("head.batch_norm") or value("head.input_norm")
    return bool(in_head or value("adaptation.norms") == "moving")
