"""What stands after each added layer, by the names of `search_spaces.settings.head.ACTIVATIONS`."""

from __future__ import annotations

from search_spaces.settings import head as settings
from trainables.learning.heads.layer import Layer


def leaky_relu(same: settings.Head) -> Layer:
    return Layer("LeakyReLU", (same.negative_slope,))


def gelu(same: settings.Head) -> Layer:
    """Exact, by the error function (Hendrycks and Gimpel 2016)."""
    return Layer("GELU")


def activation(same: settings.Head) -> Layer:
    layer: Layer = settings.ACTIVATIONS.load(same.activation)(same)
    return layer
