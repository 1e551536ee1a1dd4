"""Grad-CAM: channels of a layer, weighted by the mean gradient of the class's score.

Selvaraju et al. 2017, *Grad-CAM: visual explanations from deep networks via gradient-based localization*, ICCV.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from orchestrator.maps.network import Repeats

Weigh = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""Gradient and values of a layer, both [N, C, h, w] → the weight of each channel [N, C]."""


def maps(repeats: Repeats, images: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """See `registry.Method`."""
    return weighted(repeats, images, targets, lambda gradient, places: gradient.mean(dim=(2, 3)))


def weighted(repeats: Repeats, images: torch.Tensor, targets: torch.Tensor, weigh: Weigh) -> torch.Tensor:
    """What channels say together, by their weights. The backbone is passed once for all repeats that share the layer,
    the head for each."""
    per_repeat = []
    for several in repeats.turns():
        values = repeats.values(images).detach().requires_grad_()
        features = repeats.features(values)
        places = repeats.layer.places(values.detach())
        for repeat in several:
            score = repeats.score(repeat, features, targets).sum()
            (gradient,) = torch.autograd.grad(score, values, retain_graph=True)
            weights = weigh(repeats.layer.places(gradient), places)
            per_repeat.append(torch.einsum("nchw,nc->nhw", places, weights).relu())
    return torch.stack(per_repeat)
