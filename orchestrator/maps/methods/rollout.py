"""Attention rollout: how much of each patch reaches what a transformer reads off, through the attention of all blocks.

In each block the mean over heads and the identity count half each, for what goes around it. Abnar and Zuidema 2020,
*Quantifying attention flow in transformers*, ACL.
"""

from __future__ import annotations

import math

import torch
from torch import nn

from orchestrator.maps.network import Repeats
from orchestrator.store.errors import InputError


@torch.no_grad()
def maps(repeats: Repeats, images: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """See `registry.Method`. Neither head nor class is in it: repeats that share a frozen backbone share the map."""
    per_repeat = []
    for several in repeats.turns():
        per_repeat += [_rollout(repeats, images)] * len(several)
    return torch.stack(per_repeat)


def _rollout(repeats: Repeats, images: torch.Tensor) -> torch.Tensor:
    """[N, h, w]."""
    network = repeats.backbone
    attention = attention_of(network, repeats.configuration.network.backbone)
    fused = [part.fused_attn for part in attention]
    seen: list[torch.Tensor] = []
    hooks = [
        part.attn_drop.register_forward_pre_hook(lambda _, given: seen.append(given[0].mean(dim=1)))  # type: ignore[union-attr]
        for part in attention
    ]
    try:
        for part in attention:
            part.fused_attn = False  # type: ignore[assignment]
        network(images)
    finally:
        for part, before, hook in zip(attention, fused, hooks, strict=True):
            part.fused_attn = before
            hook.remove()
    prefix = int(getattr(network, "num_prefix_tokens", 0))
    tokens = seen[0].shape[-1]
    side = math.isqrt(max(0, tokens - prefix))
    if side**2 != tokens - prefix or any(one.shape != (len(images), tokens, tokens) for one in seen):
        raise _no_attention(repeats.configuration.network.backbone, "one that attends within windows")
    own = torch.eye(tokens, device=images.device)
    reached = own.expand(len(images), tokens, tokens)
    for one in seen:
        reached = (one + own) / 2 @ reached
    reads_class = prefix > 0 and getattr(network, "global_pool", "token") == "token"
    row = reached[:, 0] if reads_class else reached[:, prefix:].mean(dim=1)
    return row[:, prefix:].reshape(-1, side, side)


def attention_of(network: nn.Module, name: str) -> list[nn.Module]:
    """The attention of timm's blocks, in order. Raises InputError, naming the network `name`, where there is none."""
    wanted = ("qkv", "attn_drop", "num_heads", "fused_attn")
    attention = [part for part in network.modules() if all(hasattr(part, one) for one in wanted)]
    if not attention:
        raise _no_attention(name, "no such attention")
    return attention


def _no_attention(name: str, instead: str) -> InputError:
    return InputError(
        f"{name}: expected a timm transformer whose blocks attend from every patch to every other, found {instead}",
        "Choose another method: --method gradcam",
    )
