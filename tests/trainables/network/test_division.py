"""What the trained part leaves out of the network, which gives the same without it."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from search_spaces.live import Scope
from trainables.network.frontier import places_to_cut


def network(pooled: int) -> nn.Sequential:
    """Ends, as VGG does, with an adaptive mean over pooled × pooled places of the 8 × 8 that there are."""
    first, second = nn.Conv2d(3, 4, 3, stride=2, padding=1), nn.Conv2d(4, 4, 3, padding=1)
    return nn.Sequential(first, second, nn.AdaptiveAvgPool2d(pooled), nn.Flatten()).eval()


@pytest.mark.parametrize(("pooled", "stays"), [(8, False), (4, True), (1, True)])
def test_a_mean_over_as_many_places_as_there_are_is_left_out(pooled: int, stays: bool) -> None:
    whole = network(pooled)
    cut = places_to_cut(whole, 16, Scope(unfrozen=1))[0]
    division = cut.build()
    found = [part for part in division.suffix.modules() if isinstance(part, nn.AdaptiveAvgPool2d)]
    assert bool(found) == stays
    images = torch.randn(3, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    assert torch.equal(division.suffix(division.prefix(images)), whole(images))
