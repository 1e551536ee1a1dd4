"""Mean size of a layer's activations at each place: where it answers at all, whatever the class."""

from __future__ import annotations

import torch

from orchestrator.maps.network import Repeats


def maps(repeats: Repeats, images: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """See `registry.Method`. Repeats that share a frozen layer share the map."""
    per_repeat = []
    for several in repeats.turns():
        one = repeats.layer.places(repeats.values(images)).abs().mean(dim=1)
        per_repeat += [one] * len(several)
    return torch.stack(per_repeat)
