"""Occlusion: what the class's score loses where a square of the image is covered in grey.

Zeiler and Fergus 2014, *Visualizing and understanding convolutional networks*, ECCV.
"""

from __future__ import annotations

import torch

from orchestrator.maps.network import Repeats

SQUARES = 8
"""Each way, of the image; they do not overlap."""


@torch.no_grad()
def maps(repeats: Repeats, images: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """See `registry.Method`. Grey is the mean of the standardisation."""
    per_repeat = []
    edges = torch.linspace(0, images.shape[-1], SQUARES + 1).round().int().tolist()
    for several in repeats.turns():
        whole = repeats.backbone(images)
        here = images.new_zeros(len(several), len(images), SQUARES, SQUARES)
        for row in range(SQUARES):
            for column in range(SQUARES):
                covered = images.clone()
                covered[:, :, edges[row] : edges[row + 1], edges[column] : edges[column + 1]] = 0
                features = repeats.backbone(covered)
                for place, repeat in enumerate(several):
                    lost = repeats.score(repeat, whole, targets) - repeats.score(repeat, features, targets)
                    here[place, :, row, column] = lost
        per_repeat += list(here.relu())
    return torch.stack(per_repeat)
