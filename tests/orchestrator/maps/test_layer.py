"""The layer whose places are explained, for families of networks."""

from __future__ import annotations

import pytest
import timm
import torch
from torch import nn

from orchestrator.maps.layer import spatial_layer
from orchestrator.store.errors import InputError
from search_spaces.form import Form
from trainables.network.formed import formed


@pytest.mark.parametrize(
    ("name", "size", "layer", "side", "channels"),
    [
        ("resnet18", 96, "layer4.1.act2", (3, 3), 512),
        ("mobilenetv2_035", 96, "bn2", (3, 3), 1280),
        ("test_vit", 32, "blocks.4", (2, 2), 64),
        ("test_vit averaged", 32, "after norm", (2, 2), 64),
        ("swin_tiny_patch4_window7_224", 224, "norm", (7, 7), 768),
    ],
)
def test_the_last_layer_with_places(name: str, size: int, layer: str, side: tuple[int, int], channels: int) -> None:
    """A transformer that reads its class token: patches have a say in the last block but one."""
    bare, _, averaged = name.partition(" ")
    given = {"img_size": size} if "vit" in name else {}
    given |= {"global_pool": "avg"} if averaged else {}
    network = timm.create_model(bare, num_classes=0, pretrained=False, **given).eval()
    found = spatial_layer(network, size, name)
    assert (found.name, found.side) == (layer, side)
    images = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        (values,) = found.before(images)
        torch.testing.assert_close(found.after((values,)), network(images))
    assert found.places(values).shape == (2, channels, *side)


def test_a_token_stands_where_its_patch_does() -> None:
    network = timm.create_model("test_vit", num_classes=0, pretrained=False, img_size=64).eval()
    found = spatial_layer(network, 64, "vit")
    values = torch.zeros(1, 17, 64)
    values[0, 1 + 4 * 2 + 3] = 1
    places = found.places(values)[0, 0]
    assert places[2, 3] == 1
    assert places.sum() == 1


def test_another_layer_can_be_asked_for() -> None:
    network = timm.create_model("resnet18", num_classes=0, pretrained=False).eval()
    assert spatial_layer(network, 96, "resnet18", "layer2").side == (12, 12)
    with pytest.raises(InputError, match=r"--layer 'layr3': expected a part whose output is feature maps") as told:
        spatial_layer(network, 96, "resnet18", "layr3")
    assert "layer3" in told.value.advice
    with pytest.raises(InputError, match="through which everything passes"):
        spatial_layer(network, 96, "resnet18", "layer4.0.conv1")


def test_of_a_network_that_was_cut() -> None:
    """Features of its last two blocks: all goes through what the last but one yields."""
    form = Form("timm:test_vit", 64, pooling="both", joined=2)
    network = timm.create_model("test_vit", num_classes=0, pretrained=False, img_size=64).eval()
    found = spatial_layer(formed(network, form, 64, "vit"), 64, "vit")
    assert (found.side, found.prefix) == ((4, 4), 1)
    assert found.name.startswith("after blocks.4.")


def test_a_network_without_places_is_refused() -> None:
    flat = nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, 8), nn.ReLU(), nn.Linear(8, 4)).eval()
    with pytest.raises(InputError, match="flat: expected a layer with several places") as told:
        spatial_layer(flat, 16, "flat")
    assert "--method occlusion" in told.value.advice


def test_a_network_that_cannot_be_traced_is_refused() -> None:
    class Branching(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.convolution = nn.Conv2d(3, 4, 3)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            values: torch.Tensor = self.convolution(images)
            return values.mean((2, 3)) if values.sum() > 0 else values.amax((2, 3))

    with pytest.raises(InputError, match="odd: expected a network that can be split at a layer"):
        spatial_layer(Branching().eval(), 16, "odd")
