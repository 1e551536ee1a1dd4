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


class Shared(nn.Module):
    """Three activations: on what nothing else reads, on a sum, and on what is read once more."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3, padding=1)
        self.norm, self.alone, self.of_sum, self.twice = nn.BatchNorm2d(4), nn.ReLU(), nn.ReLU(), nn.ReLU()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        maps = self.first(images)
        more = self.of_sum(self.alone(self.norm(maps)) + maps)
        again = self.second(more)
        return (self.twice(again) - again).mean((2, 3))


def test_activations_write_over_what_nothing_else_reads_and_change_no_bit() -> None:
    torch.manual_seed(0)
    suffix = places_to_cut(Shared().eval(), 16, Scope(unfrozen=2))[0].build().suffix
    found = {name: part.inplace for name, part in suffix.named_modules() if isinstance(part, nn.ReLU)}
    assert found == {"alone": True, "of_sum": True, "twice": False}
    images = torch.randn(2, 3, 16, 16)
    given = images.clone()
    written = gradients(suffix, images)
    for part in suffix.modules():
        if isinstance(part, nn.ReLU):
            part.inplace = False
    plain = gradients(suffix, images)
    assert torch.equal(images, given)
    assert len(written) == len(plain) > 4
    assert all(torch.equal(one, other) for one, other in zip(written, plain, strict=True))


def gradients(suffix: nn.Module, images: torch.Tensor) -> list[torch.Tensor]:
    """What it computes and how each parameter that is trained would change it."""
    features = suffix((images,))
    trained = [parameter for parameter in suffix.parameters() if parameter.requires_grad]
    return [features, *torch.autograd.grad(features.square().sum(), trained)]
