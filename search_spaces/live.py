"""What changes while a network is trained: all before it is computed once and kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple


class Live(NamedTuple):
    """unfrozen: weight layers that train, counted back from the output. from_pixels: images that are trained on change,
    so that each step computes the frozen part of them; scores read what is kept."""

    unfrozen: int
    from_pixels: bool

    @property
    def trains_body(self) -> bool:
        """Whether anything of the backbone is trained, so that each repeat has a body of its own."""
        return self.unfrozen > 0

    @property
    def has_features(self) -> bool:
        """Whether the pooled features of each view are all that training reads."""
        return not (self.trains_body or self.from_pixels)


def moves_statistics(value: Callable[[str], Any]) -> bool:
    """Whether batch norm learns statistics, by values of settings by path; a batch of one image has none."""
    return bool(value("head.batch_norm") or value("adaptation.norms") == "moving")
