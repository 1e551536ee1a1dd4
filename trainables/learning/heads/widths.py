"""Added layers of given widths, each with batch norm (Ioffe and Szegedy 2015), LeakyReLU and dropout."""

from __future__ import annotations

from search_spaces.settings import head as settings
from trainables.learning.heads.layer import Layer, Layers, blocks


class Widths:
    def __init__(self, same: settings.Head) -> None:
        self.same = same

    @property
    def is_written_out(self) -> bool:
        return not self.same.batch_norm

    def layers(self, width: int, outputs: int) -> Layers:
        return blocks(width, self.same.widths, outputs, self._after)

    def _after(self, width: int) -> Layers:
        norm = (Layer("BatchNorm1d", (width,)),) if self.same.batch_norm else ()
        return (*norm, Layer("LeakyReLU", (self.same.negative_slope,)), Layer("Dropout", (self.same.dropout,)))
