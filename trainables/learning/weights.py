"""The weights of a repeat by name, as it leaves training, and plain modules that take them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import nn

from orchestrator.store.errors import OrchError

Weights = Mapping[str, np.ndarray]
"""Whatever was trained or moved: "head.<name>", of the head's plain modules, and "body.<name>", of the backbone."""


@torch.no_grad()
def put(weights: Weights, *, head: nn.Module, body: nn.Module | None) -> None:
    """Copy them in. Raises OrchError where they do not fit, or leave out something of the head."""
    parts = {"head": head, "body": body}
    own = {
        f"{part}.{name}": tensor
        for part, module in parts.items()
        if module is not None
        for name, tensor in (*module.named_parameters(), *module.named_buffers())
    }
    missing = [name for name in own if name.startswith("head.") and name not in weights]
    if missing:
        raise OrchError(f"the weights of this repeat do not fit its network: {missing[0]} is missing")
    for name, value in weights.items():
        if name not in own or tuple(own[name].shape) != value.shape:
            raise OrchError(f"the weights of this repeat do not fit its network: {name} {list(value.shape)}")
        own[name].copy_(torch.from_numpy(np.asarray(value, order="C")))
