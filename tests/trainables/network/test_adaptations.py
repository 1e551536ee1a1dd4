"""Which parameters are trained by each adaptation, and where the frozen part ends then."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from orchestrator.store.errors import InputError
from search_spaces.form import Form
from search_spaces.live import Scope
from trainables.network.adaptations import adaptation_of, holders, refusals
from trainables.network.backbone import architecture_of, open_backbone, skeleton
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
    found = refusals(network, lambda one: layers_of_trace(one, trace(one, 8)))
    assert "no biases" in found["bias"]
    assert "transformers have, found none" in found["lora"]
    facts = {name: architecture_of(Form(name, 32)).facts for name in (RESNET, VIT)}
    assert [{*one.refused} for one in facts.values()] == [{"lora"}, set()]
    assert "layer4.0.conv1" in facts[RESNET].layers


ADAPTERS = [
    (RESNET, Scope("scale_and_shift")),
    (VIT, Scope("scale_and_shift")),
    (VIT, Scope("lora", rank=3, alpha=6.0)),
]


@pytest.mark.parametrize(("name", "scope"), ADAPTERS)
def test_adapters_change_nothing_at_first_and_stay_out_of_the_frozen_part(name: str, scope: Scope) -> None:
    network = open_backbone(Form(name, 64), "none", 3).module
    before = {key: value.clone() for key, value in network.state_dict().items()}
    images = torch.randn(2, 3, 64, 64)
    expected = network(images)
    for cut in cuts(network, 64, scope):
        division = cut.build()
        assert torch.equal(division.suffix(division.prefix(images)), expected)
        own = {key for key, _ in network.named_parameters()}
        assert {key for key, _ in division.prefix.named_parameters()} <= own
        trained = {key for key, one in division.suffix.named_parameters() if one.requires_grad}
        assert trained == {*division.live}
        assert not trained & own
        shared = dict(division.prefix.named_parameters())
        assert all(one is network.get_parameter(key) for key, one in shared.items())
    assert network.state_dict().keys() == before.keys(), "the network itself is left as it was"
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


def test_every_adapter_is_read() -> None:
    """A gradient reaches each of them, in a network of torch's attention too."""
    network = open_backbone(Form("torchvision:vit_b_16", 32), "none", 0).module
    division = cuts(network, 32, Scope("scale_and_shift"))[-1].build()
    live = [one for one in division.suffix.parameters() if one.requires_grad]
    found = torch.autograd.grad(division.suffix(division.prefix(torch.randn(2, 3, 32, 32))).sum(), live)
    assert len(found) == len(live) == 2 * (1 + 12 * 3)


def test_low_rank_updates_begin_at_the_first_attention() -> None:
    *cached, pixels = cuts(skeleton(Form(VIT, 32)), 32, Scope("lora", rank=2))
    assert {name.rpartition(".")[2] for name in pixels.live} == {"lora_a", "lora_b"}
    assert cached, "what is before it is cached"
    assert "patch_embed.proj.weight" in dict(cached[-1].build().prefix.named_parameters())


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        (RESNET, "transformers have, found none"),
        ("torchvision:vit_b_16", "found torch.nn.MultiheadAttention"),
    ],
)
def test_networks_without_such_attention_have_no_low_rank_updates(name: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        cuts(skeleton(Form(name, 32)), 32, Scope("lora", rank=2))


def test_keys_of_the_last_layers_are_their_number() -> None:
    assert [Scope().key, Scope(unfrozen=3).key] == [0, 3]
    others = [Scope("whole"), Scope("layers", layers=("a",)), Scope("layers", layers=("a", "b")), Scope("bias")]
    assert len({scope.key for scope in others}) == 4
    assert all(isinstance(scope.key, str) for scope in others)
