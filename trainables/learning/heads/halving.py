"""n added layers, each half as wide as what it reads, with an activation and dropout."""

from __future__ import annotations

from search_spaces.settings import head as settings
from trainables.learning.heads.activations import activation
from trainables.learning.heads.layer import Layer, Layers, before, blocks


class Halving:
    def __init__(self, same: settings.Head) -> None:
        self.same = same

    @property
    def is_written_out(self) -> bool:
        return not before(self.same, 1)

    def layers(self, width: int, outputs: int) -> Layers:
        """Each added layer halves the width, rounding down, not below 1."""
        widths = [max(1, width >> added) for added in range(1, self.same.non_linearities + 1)]
        between = activation(self.same), Layer("Dropout", (self.same.dropout,))
        return blocks(width, widths, outputs, lambda _: between, before(self.same, width))
