"""Low-rank updates of attention's linear layers (Hu et al. 2022, LoRA): x·Wᵀ + α/r · (x·Aᵀ)·Bᵀ, A and B trained.

Of transformers whose attention has the linear layers `qkv` and `proj`, as timm writes them; both are updated.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from orchestrator.store.errors import InputError
from search_spaces.live import Scope
from trainables.network.adapters.adapter import Adapter, adapt, added
from trainables.network.weight_layers import Layers

DRAWN = "lora_a"
"""The factor that is drawn for each repeat; the other one begins at 0, so that nothing changes at first."""
_ADAPTED = ("qkv", "proj")


class LowRank(Adapter):
    """lora_a: float32 [r, inputs]. lora_b: float32 [outputs, r]. lora_factor: α/r."""

    parameters_added = (DRAWN, "lora_b")
    lora_a: torch.Tensor
    lora_b: torch.Tensor
    lora_factor: float

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        output: torch.Tensor = super().forward(values)  # type: ignore[misc]  # of the layer
        update = functional.linear(functional.linear(values, self.lora_a), self.lora_b)
        return output + self.lora_factor * update


class LoRA:
    def __init__(self, scope: Scope) -> None:
        self.rank = max(1, scope.rank)
        self.factor = scope.alpha / self.rank

    def put_into(self, network: nn.Module) -> None:
        """Raises InputError where the network has no such attention."""
        attention = [part for part in network.modules() if _is_attention(part)]
        if not attention:
            has_torchs = any(isinstance(part, nn.MultiheadAttention) for part in network.modules())
            raise InputError(
                "adaptation \"lora\": expected attention with the linear layers 'qkv' and 'proj', as timm's "
                "transformers have, found "
                + ("torch.nn.MultiheadAttention, which has no such layers" if has_torchs else "none"),
                "Choose a transformer of timm, such as vit_small_patch16_224, or another --adaptation.",
            )
        for part in attention:
            for name in _ADAPTED:
                layer = part.get_submodule(name)
                assert isinstance(layer, nn.Linear)
                down = torch.zeros(self.rank, layer.in_features, device=layer.weight.device)
                up = torch.zeros(layer.out_features, self.rank, device=layer.weight.device)
                adapt(layer, LowRank, lora_a=down, lora_b=up, lora_factor=self.factor)

    def live(self, layers: Layers) -> tuple[str, ...]:
        names = added(LowRank, tuple(layers.owner))
        if not any(name.endswith(f"qkv.{DRAWN}") for name in names):
            raise InputError(
                "adaptation \"lora\": expected attention that calls its layer 'qkv', found one that uses the layer's "
                "weights directly",
                "Choose another --adaptation.",
            )
        return names


def _is_attention(part: nn.Module) -> bool:
    children = dict(part.named_children())
    return all(isinstance(children.get(name), nn.Linear) for name in _ADAPTED)
