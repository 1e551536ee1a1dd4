"""Added layers of given widths, each with batch norm (Ioffe and Szegedy 2015), an activation and dropout."""

from __future__ import annotations

from search_spaces.settings import head as settings
from trainables.learning.heads.activations import activation
from trainables.learning.heads.layer import Layer, Layers, before, blocks


class Widths:
    def __init__(self, same: settings.Head) -> None:
        self.same = same

    @property
    def is_written_out(self) -> bool:
        return not (self.same.batch_norm or before(self.same, 1))

    def layers(self, width: int, outputs: int) -> Layers:
        return blocks(width, self.same.widths, outputs, self._after, before(self.same, width))

    def _after(self, width: int) -> Layers:
        norm = (Layer("BatchNorm1d", (width,)),) if self.same.batch_norm else ()
        return (*norm, activation(self.same), Layer("Dropout", (self.same.dropout,)))
