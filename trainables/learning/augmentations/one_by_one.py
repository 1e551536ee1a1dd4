"""A transform of torchvision, which draws for itself, on each image of a batch with a seed of the image's own."""

from __future__ import annotations

from collections.abc import Callable

import torch

from trainables.data.decode import FILL

GREY = [value / 255.0 for value in FILL]
"""What is put where an image has nothing: the mean of ImageNet, as around images that are padded."""


def one_by_one(
    transform: Callable[[torch.Tensor], torch.Tensor], images: torch.Tensor, seeds: torch.Tensor
) -> torch.Tensor:
    """What the transform makes of each image [3, S, S] after `torch.manual_seed` with its seed, together.

    Whatever else draws from torch's generators goes on as if nothing had been drawn here.
    """
    made = []
    with torch.no_grad(), torch.random.fork_rng(devices=[images.device] if images.device.type == "cuda" else []):
        for image, seed in zip(images, seeds.tolist(), strict=True):
            torch.manual_seed(seed)
            made.append(transform(image))
    return torch.stack(made)
