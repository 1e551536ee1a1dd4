"""A trained factor and offset for each output channel of every weight layer (Lian et al. 2022, SSF)."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from search_spaces.live import Scope
from trainables.network.adapters.adapter import Adapter, adapt, added
from trainables.network.tracing import WEIGHT_LAYERS
from trainables.network.weight_layers import Layers


class Scaled(Adapter):
    """scale, shift: of the output's channels, broadcast over the rest of it.

    Of attention of torch itself, which yields several things, the first is scaled: its output.
    """

    parameters_added = ("ssf_scale", "ssf_shift")
    ssf_scale: torch.Tensor
    ssf_shift: torch.Tensor

    def forward(self, *given: Any, **named: Any) -> Any:
        output = super().forward(*given, **named)  # type: ignore[misc]  # of the layer
        if isinstance(output, tuple):
            return (output[0] * self.ssf_scale + self.ssf_shift, *output[1:])
        return output * self.ssf_scale + self.ssf_shift


class ScaleAndShift:
    def __init__(self, scope: Scope) -> None:
        """Nothing of it is left open."""

    def put_into(self, network: nn.Module) -> None:
        """Factors of 1 and offsets of 0."""
        within: tuple[str, ...] = ()
        for name, part in [*network.named_modules()]:
            if name.startswith(within):
                continue  # projections inside of attention are never called by themselves
            if isinstance(part, nn.MultiheadAttention):
                within += (f"{name}.",)
                self._scale(part, (part.embed_dim,), part.out_proj.weight)
            elif isinstance(part, nn.modules.conv._ConvNd):
                self._scale(part, (part.out_channels, *(1 for _ in part.kernel_size)), part.weight)
            elif isinstance(part, WEIGHT_LAYERS):
                self._scale(part, (len(part.weight),), part.weight)

    def live(self, layers: Layers) -> tuple[str, ...]:
        return added(Scaled, tuple(layers.owner))

    @staticmethod
    def _scale(part: nn.Module, shape: tuple[int, ...], like: torch.Tensor) -> None:
        scale, shift = torch.ones(shape, device=like.device), torch.zeros(shape, device=like.device)
        adapt(part, Scaled, ssf_scale=scale, ssf_shift=shift)
