"""Integrated gradients: of the class's score by pixel, along the straight line from a grey image to this one.

Grey is the mean of the standardisation, 0 in each channel. What the pixels get adds up to the difference of the scores
of both images. Sundararajan, Taly and Yan 2017, *Axiomatic attribution for deep networks*, ICML.
"""

from __future__ import annotations

import torch
from torch.nn import functional

from orchestrator.maps.network import Repeats

STEPS = 32
"""Of the line, each at its middle."""
MOST_PLACES = 28
"""A map's places each way; pixels are added up to no more."""


def attributions(repeats: Repeats, images: torch.Tensor, targets: torch.Tensor, steps: int = STEPS) -> torch.Tensor:
    """What each pixel adds to the score, float32 [repeats, N, S, S]; below 0 where it speaks against the class."""
    per_repeat = []
    for several in repeats.turns():
        sums = [torch.zeros_like(images) for _ in several]
        for step in range(steps):
            between = (images * ((step + 0.5) / steps)).requires_grad_()
            features = repeats.backbone(between)
            for place, repeat in enumerate(several):
                score = repeats.score(repeat, features, targets).sum()
                (gradient,) = torch.autograd.grad(score, between, retain_graph=True)
                sums[place] += gradient
        per_repeat += [(one / steps * images).sum(dim=1) for one in sums]
    return torch.stack(per_repeat)


def maps(repeats: Repeats, images: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """See `registry.Method`. Places are squares of a few pixels, with the mean of these."""
    pixels = attributions(repeats, images, targets)
    side = min(MOST_PLACES, pixels.shape[-1])
    return functional.adaptive_avg_pool2d(pixels, side).relu()
