"""What a head is made of: plain modules of `torch.nn`, and one of ours, by name and what they are made with.

The one declaration of a network's new layers. Training, prediction, the exported model and its file follow from it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import NamedTuple

import torch
from torch import nn

from search_spaces.settings import head as settings
from trainables.learning.heads.excitation import Excitation

KINDS: dict[str, type[nn.Module]] = {
    one.__name__: one
    for one in (
        nn.Linear,
        nn.BatchNorm1d,
        nn.LayerNorm,
        nn.LeakyReLU,
        nn.ReLU,
        nn.GELU,
        nn.Tanh,
        nn.Sigmoid,
        nn.Dropout,
        Excitation,
    )
}
"""Modules that draw nothing but initial weights of linear layers and `Dropout`'s masks."""


class Layer(NamedTuple):
    """One of `KINDS` and its arguments: Layer("Linear", (2048, 2))."""

    kind: str
    arguments: tuple[float, ...] = ()

    def module(self) -> nn.Module:
        return KINDS[self.kind](*self.arguments)

    def words(self) -> str:
        """`2048 → 2`, `BatchNorm1d(256)`, `ReLU`."""
        if self.kind == "Linear":
            return "{} → {}".format(*self.arguments)
        return f"{self.kind}({', '.join(f'{value:g}' for value in self.arguments)})" if self.arguments else self.kind


Layers = tuple[Layer, ...]


def outline(layers: Layers) -> nn.Sequential:
    """The head of one lane on the meta device: names and shapes, without memory."""
    with torch.device("meta"):
        return nn.Sequential(*(layer.module() for layer in layers))


def modules(layers: Layers) -> nn.Sequential:
    """The head of one lane, its values not set."""
    return outline(layers).to_empty(device="cpu")


@cache
def parameter_count(layers: Layers) -> int:
    """Number of weights and biases of one head."""
    return sum(parameter.numel() for parameter in outline(layers).parameters())


def linear(layers: Layers) -> list[tuple[int, int]]:
    """(inputs, outputs) of every linear layer, in order."""
    return [(int(layer.arguments[0]), int(layer.arguments[1])) for layer in layers if layer.kind == "Linear"]


def dropouts(layers: Layers) -> list[tuple[int, float]]:
    """(width, share) of every dropout, in order."""
    shares, width = [], linear(layers)[0][0]
    for layer in layers:
        if layer.kind == "Linear":
            width = int(layer.arguments[1])
        elif layer.kind == "Dropout":
            shares.append((width, float(layer.arguments[0])))
    return shares


def before(same: settings.Head, width: int) -> Layers:
    """What stands before the first linear layer, of features [N, width]: batch norm, then the gate on them."""
    layers = [Layer("BatchNorm1d", (width,))] if same.input_norm else []
    if same.excitation == "after_pooling":
        layers.append(Layer("Excitation", (width, max(1, width // same.reduction))))
    return tuple(layers)


def blocks(
    width: int, hidden: Sequence[int], outputs: int, after: Callable[[int], Layers], first: Layers = ()
) -> Layers:
    """`first`, then linear layers of these widths, each but the last with others after it; after: its width → those."""
    layers = [*first]
    for wide in hidden:
        layers += [Layer("Linear", (width, wide)), *after(wide)]
        width = wide
    return (*layers, Layer("Linear", (width, outputs)))
