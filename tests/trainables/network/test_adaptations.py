"""Which parameters are trained by each adaptation, and where the frozen part ends then."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from orchestrator.store.errors import InputError
from search_spaces.form import Form
from search_spaces.live import Scope
from trainables.network.adaptations import adaptation_of, holders, refusals
from trainables.network.backbone import skeleton
from trainables.network.division import PIXELS
from trainables.network.frontier import cuts, places_to_cut
from trainables.network.tracing import trace
from trainables.network.weight_layers import Layers, layers_of_trace

RESNET, VIT = "timm:test_resnet.r160_in1k", "timm:test_vit.r160_in1k"


def layers_of(name: str, size: int) -> Layers:
    network = skeleton(Form(name, size))
    return layers_of_trace(network, trace(network, size))


def test_the_whole_network_is_every_parameter_from_the_pixels_on() -> None:
    network = skeleton(Form(RESNET, 32))
    (cut,) = cuts(network, 32, Scope("whole"))
    assert cut.layer == PIXELS
    assert {*cut.live} == {name for name, _ in network.named_parameters()}
    assert all(parameter.requires_grad for parameter in cut.build().suffix.parameters())


@pytest.mark.parametrize(("names", "frozen"), [(("layer4",), "layer3."), (("layer2", "layer4.0"), "layer1.")])
def test_named_layers_are_trained_and_the_frozen_part_ends_before_the_first(
    names: tuple[str, ...], frozen: str
) -> None:
    network = skeleton(Form(RESNET, 32))
    *cached, pixels = cuts(network, 32, Scope("layers", layers=names))
    assert {*pixels.live} == {
        name for name, _ in network.named_parameters() if any(name.startswith(f"{own}.") for own in names)
    }
    division = cached[-1].build()
    trained = {name for name, one in division.suffix.named_parameters() if one.requires_grad}
    assert trained == {*pixels.live}
    before = {name for name, _ in division.prefix.named_parameters()}
    assert any(name.startswith(frozen) for name in before)
    assert not before & trained


def test_layers_of_the_front_leave_those_behind_them_frozen() -> None:
    cut = cuts(skeleton(Form(VIT, 32)), 32, Scope("layers", layers=("pos_embed", "patch_embed")))[-1]
    assert {*cut.live} == {"pos_embed", "patch_embed.proj.weight", "patch_embed.proj.bias"}
    division = cut.build()
    assert sum(one.requires_grad for one in division.suffix.parameters()) == 3
    assert "blocks.0.attn.qkv.weight" in dict(division.suffix.named_parameters())


def test_biases_are_those_of_layers_and_norms() -> None:
    network = skeleton(Form(VIT, 32))
    live = adaptation_of(Scope("bias")).live(layers_of(VIT, 32))
    assert {*live} == {name for name, _ in network.named_parameters() if name.endswith("bias")}


def test_names_that_a_network_has_not_are_told_with_the_nearest() -> None:
    layers = layers_of(RESNET, 32)
    with pytest.raises(InputError) as caught:
        adaptation_of(Scope("layers", layers=("layer4", "layr3"))).live(layers)
    assert caught.value.message.startswith(
        "trained layers: expected names of layers or blocks of this network, found 'layr3'; did you mean 'layer3' or"
    )
    assert {"layer4", "layer4.0", "layer4.0.conv1", "layer4.0.conv1.weight"} <= {*holders(layers)}


class _Unbiased(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Conv2d(3, 4, 1, bias=False), nn.Conv2d(4, 5, 1, bias=False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.last(self.first(images)).mean((2, 3))


def test_a_network_without_biases_cannot_train_them() -> None:
    network = _Unbiased().eval()
    with pytest.raises(InputError, match="this network has no biases"):
        places_to_cut(network, 8, Scope("bias"))
    assert "no biases" in refusals(layers_of_trace(network, trace(network, 8)))["bias"]
    assert "bias" not in refusals(layers_of(RESNET, 32))


def test_keys_of_the_last_layers_are_their_number() -> None:
    assert [Scope().key, Scope(unfrozen=3).key] == [0, 3]
    others = [Scope("whole"), Scope("layers", layers=("a",)), Scope("layers", layers=("a", "b")), Scope("bias")]
    assert len({scope.key for scope in others}) == 4
    assert all(isinstance(scope.key, str) for scope in others)
