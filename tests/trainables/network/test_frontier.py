"""The two parts of a divided network are the network: same features, same gradients, wherever it is cut."""

from __future__ import annotations

import copy
import functools
import math

import pytest
import timm
import torch
import torchvision
from torch import nn

from orchestrator.store.errors import InputError
from search_spaces.form import Form
from search_spaces.live import Scope
from trainables.network.backbone import open_backbone, skeleton
from trainables.network.calibration import calibrate
from trainables.network.division import FEATURES, PIXELS, Cut, Division
from trainables.network.frontier import cuts, places_to_cut, whole
from trainables.network.tracing import UntraceableError

SIZES = {
    "inception_v3": 75,
    "resnet18": 48,
    "resnet50": 32,
    "densenet121": 32,
    "convnext_atto": 32,
    "vit_tiny_patch16_224": 32,
    "mobilenetv2_035": 32,
    "torchvision:squeezenet1_1": 48,
}
HEAVY = {
    "torchvision:resnet18": 48,
    "vgg19": 48,
    "torchvision:vgg19": 48,
    "convnext_tiny": 64,
    "torchvision:vit_b_16": 32,
}
LAYERS = (0, 1, 3, 7)
AT_EVERY_LAYER = ("resnet18", "convnext_atto", "vit_tiny_patch16_224")
"""Without --slow; the others at two of them."""


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def _images(size: int, count: int = 2) -> torch.Tensor:
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(5))


@functools.lru_cache(maxsize=2)
def _network(name: str, size: int) -> nn.Module:
    if name == "narrow vgg19":
        torch.manual_seed(0)
        widths = [8, 8, "M", 8, 8, "M", 16, 16, 16, 16, "M", 16, 16, 16, 16, "M", 16, 16, 16, 16, "M"]
        network = timm.models.vgg.VGG(widths, num_classes=0, mlp_ratio=0.02).eval().requires_grad_(False)
    else:
        network = open_backbone(Form(name, size), "none", 0).module
    calibrate(network, [_images(size, 4)])
    return network


def _divided(network: nn.Module, size: int, unfrozen: int) -> Division:
    """At the cut with the fewest values per view."""
    return cuts(network, size, Scope(unfrozen=unfrozen))[0].build()


@functools.lru_cache(maxsize=64)
def _on_meta(name: str) -> nn.Module:
    with torch.device("meta"):
        return timm.create_model(name, num_classes=0).eval()


def _assert_parity(network: nn.Module, size: int, cut: Cut) -> None:
    division = cut.build()
    images = _images(size)
    with torch.no_grad():
        frontier = division.prefix(images)
    kept = [tensor.clone() for tensor in frontier]
    assert tuple(tuple(tensor.shape[1:]) for tensor in frontier) == division.shapes
    features = division.suffix(frontier)

    reference = copy.deepcopy(network)
    for name in division.live:
        reference.get_parameter(name).requires_grad_(True)
    expected = reference(images)
    torch.testing.assert_close(features, expected, rtol=1e-5, atol=1e-5)
    assert features.abs().max() > 1e-3

    trained = {name: weight for name, weight in division.suffix.named_parameters() if weight.requires_grad}
    assert set(trained) == set(division.live)
    assert sum(weight.numel() for weight in trained.values()) == division.trainable_parameters
    if trained:
        direction = torch.randn(features.shape, generator=torch.Generator().manual_seed(6)) / features.numel()
        (features * direction).sum().backward()
        (expected * direction).sum().backward()
        for name, weight in trained.items():
            assert weight.grad is not None, name
            wanted = reference.get_parameter(name).grad
            assert wanted is not None
            torch.testing.assert_close(weight.grad, wanted, rtol=1e-3, atol=1e-5 * max(1.0, float(wanted.abs().max())))
    for tensor, before in zip(frontier, kept, strict=True):
        assert torch.equal(tensor, before), "the suffix wrote into the cached features"
    with torch.no_grad():
        alone = division.suffix(tuple(tensor[:1] for tensor in frontier))
    torch.testing.assert_close(alone, expected[:1].detach(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "size", "unfrozen"),
    [
        pytest.param(*one, unfrozen, marks=[] if one[0] in AT_EVERY_LAYER or unfrozen in (0, 3) else pytest.mark.slow)
        for one in [*SIZES.items(), ("narrow vgg19", 48)]
        for unfrozen in LAYERS
    ],
)
def test_parity(name: str, size: int, unfrozen: int) -> None:
    network = _network(name, size)
    for cut in cuts(network, size, Scope(unfrozen=unfrozen))[:-1]:
        _assert_parity(network, size, cut)


@pytest.mark.slow
@pytest.mark.parametrize("unfrozen", LAYERS)
@pytest.mark.parametrize(("name", "size"), HEAVY.items())
def test_parity_of_heavy_networks(name: str, size: int, unfrozen: int) -> None:
    network = _network(name, size)
    for cut in cuts(network, size, Scope(unfrozen=unfrozen)):
        _assert_parity(network, size, cut)


@pytest.mark.parametrize("name", ["resnet18", "vit_tiny_patch16_224"])
def test_all_layers_live_is_the_whole_network_from_the_pixels(name: str) -> None:
    network = _network(name, 48)
    count = len(cuts(network, 48, Scope(unfrozen=0))[0].weight_layers)
    found = cuts(network, 48, Scope(unfrozen=count))
    assert [cut.layer for cut in found] == [PIXELS]
    assert set(found[0].live) == {parameter for parameter, _ in network.named_parameters()}
    _assert_parity(network, 48, found[0])


def test_no_layer_live_is_the_pooled_features_and_an_identity() -> None:
    division = _divided(_network("resnet18", 48), 48, 0)
    assert (division.layer, division.shapes, division.live) == (FEATURES, ((512,),), ())
    assert division.trainable_parameters == 0
    features = torch.randn(3, 512)
    assert torch.equal(division.suffix((features,)), features)


def test_figures_of_inception() -> None:
    smallest, latest, pixels = cuts(_on_meta("inception_v3"), 299, Scope(unfrozen=1))
    assert latest.values_per_view == 249_856
    assert len(latest.shapes) == 4
    assert pixels.values_per_view == 3 * 299 * 299
    assert pixels.is_pixels
    assert smallest.values_per_view <= 131_072, "not larger than the input of the last block"
    assert len(smallest.weight_layers) == 94


def test_the_latest_cut_of_densenet_holds_17_tensors_and_the_smallest_one() -> None:
    smallest, latest, _ = cuts(_on_meta("densenet121"), 224, Scope(unfrozen=1))
    assert len(latest.shapes) == 17
    assert smallest.shapes == ((512, 7, 7),)
    assert smallest.layer == "features.transition3.pool"


def test_layers_are_counted_in_the_order_of_computation() -> None:
    cut = cuts(_on_meta("resnet18"), 224, Scope(unfrozen=1))[0]
    assert len(cut.weight_layers) == 20
    assert cut.weight_layers[0] == "conv1"
    assert cut.weight_layers[-1] == "layer4.1.conv2"
    assert cut.live == ("layer4.1.conv2.weight", "layer4.1.bn2.weight", "layer4.1.bn2.bias")
    # the shortcut's convolution is computed after the two convolutions that it goes around
    assert cut.weight_layers.index("layer4.0.downsample.0") == cut.weight_layers.index("layer4.0.conv2") + 1


def test_the_fully_connected_layers_of_vgg_count_and_the_features_are_its_last_ones() -> None:
    cut = cuts(_on_meta("vgg19"), 224, Scope(unfrozen=2))[0]
    assert len(cut.weight_layers) == 18
    assert cut.weight_layers[-2:] == ("pre_logits.fc1", "pre_logits.fc2")
    assert cut.shapes == ((512, 7, 7),)
    assert cuts(_on_meta("vgg19"), 224, Scope(unfrozen=1))[0].shapes == ((4096, 1, 1),)


def test_positions_and_class_token_go_with_the_layer_before_their_reader() -> None:
    network = _on_meta("vit_tiny_patch16_224")
    count = len(cuts(network, 224, Scope(unfrozen=0))[0].weight_layers)
    assert not {"cls_token", "pos_embed"} & set(cuts(network, 224, Scope(unfrozen=count - 1))[0].live)
    assert {"cls_token", "pos_embed", "patch_embed.proj.weight"} <= set(
        cuts(network, 224, Scope(unfrozen=count))[0].live
    )
    assert {"norm.weight", "blocks.11.mlp.fc2.weight"} <= set(cuts(network, 224, Scope(unfrozen=1))[0].live)


def test_layer_scale_goes_with_the_layer_before_it() -> None:
    live = set(cuts(_on_meta("convnext_tiny"), 224, Scope(unfrozen=1))[0].live)
    assert live == {
        "stages.3.blocks.2.mlp.fc2.weight",
        "stages.3.blocks.2.mlp.fc2.bias",
        "stages.3.blocks.2.gamma",
        "head.norm.weight",
        "head.norm.bias",
    }


def test_a_hardly_smaller_cut_does_not_recompute_a_transformer() -> None:
    cut = cuts(_on_meta("vit_tiny_patch16_224"), 224, Scope(unfrozen=1))[0]
    assert cut.layer.startswith("blocks.11 #"), "the sum after the attention of the last block"
    assert cut.shapes == ((197, 192),)


@pytest.mark.parametrize("name", ["torchvision:resnet50", "timm:convnext_atto", "timm:test_vit.r160_in1k"])
def test_no_two_cuts_have_one_name(name: str) -> None:
    """One activation is called in several places, and blocks add twice: the layer alone does not say which tensor."""
    network = skeleton(Form(name, 32))
    found = [cut for unfrozen in range(9) for cut in cuts(network, 32, Scope(unfrozen=unfrozen))]
    named = {(cut.layer, tuple(node.name for node in cut.nodes)) for cut in found}
    assert len({layer for layer, _ in named}) == len({nodes for _, nodes in named}) == len(named)
    assert {FEATURES, PIXELS} < {layer for layer, _ in named}
    again = [cut for unfrozen in range(9) for cut in cuts(skeleton(Form(name, 32)), 32, Scope(unfrozen=unfrozen))]
    assert [cut.layer for cut in again] == [cut.layer for cut in found], "the names are those of files"


class _Shared(nn.Module):
    """One activation after two convolutions of equal shape."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.last = nn.Conv2d(3, 2, 1), nn.Conv2d(2, 2, 1), nn.Conv2d(2, 5, 1)
        self.act, self.dropout = nn.ReLU(), nn.Dropout()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        maps = self.dropout(self.act(self.second(self.act(self.first(images)))))
        return self.last(maps).mean((2, 3))


def test_two_calls_of_one_activation_have_names_of_their_own() -> None:
    names = [cuts(_Shared().eval(), 8, Scope(unfrozen=unfrozen))[0].layer for unfrozen in (1, 2)]
    assert all(name.startswith("act #") for name in names)
    assert len(set(names)) == 2


def test_a_network_without_graph_is_cut_at_the_pixels_alone() -> None:
    found = places_to_cut(_Branching().eval().requires_grad_(False), 8, Scope(unfrozen=1))
    assert [cut.layer for cut in found] == [PIXELS]
    assert len(places_to_cut(_Cheap().eval(), 8, Scope(unfrozen=1))) == 3


def test_candidates_come_smallest_first_and_the_pixels_last() -> None:
    for unfrozen in (1, 3, 20, 60):
        found = cuts(_on_meta("densenet121"), 224, Scope(unfrozen=unfrozen))
        sizes = [cut.values_per_view for cut in found[:-1]]
        assert sizes == sorted(sizes)
        assert [cut.is_pixels for cut in found] == [False] * len(sizes) + [True]


class _Cheap(nn.Module):
    """A wide first branch and two narrow tensors of equal size in a row."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 4, 1)
        self.narrow = nn.Conv2d(4, 2, 1)
        self.act = nn.ReLU(inplace=True)
        self.wide = nn.Conv2d(2, 9, 1)
        self.last = nn.Conv2d(9, 5, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        maps = self.act(self.narrow(self.first(images)))
        return self.last(self.wide(maps) + 1).mean((2, 3))


def test_among_equal_sizes_the_latest_is_taken() -> None:
    smallest, latest, _ = cuts(_Cheap().eval(), 8, Scope(unfrozen=1))
    assert (smallest.layer, smallest.shapes) == ("act", ((2, 8, 8),))
    assert latest.shapes == ((9, 8, 8),)


def test_an_in_place_activation_does_not_write_into_what_is_cached() -> None:
    network = _Cheap().eval()
    division = _divided(network, 8, 2)
    assert division.layer == "act"
    network.narrow.bias.data.fill_(-5.0)
    division = _divided(network, 8, 3)
    frontier = tuple(torch.randn(2, *shape) for shape in division.shapes)
    kept = [tensor.clone() for tensor in frontier]
    division.suffix(frontier)
    assert all(torch.equal(tensor, before) for tensor, before in zip(frontier, kept, strict=True))


def test_copies_of_a_suffix_train_on_their_own() -> None:
    network = _network("resnet18", 48)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    division = _divided(network, 48, 3)
    first, second = copy.deepcopy(division.suffix), copy.deepcopy(division.suffix)
    with torch.no_grad():
        frontier = division.prefix(_images(48))
    first(frontier).sum().backward()
    with torch.no_grad():
        for weight in first.parameters():
            weight -= 0.1 * (weight.grad if weight.grad is not None else 0.0)
    assert not torch.equal(first(frontier), second(frontier))
    assert torch.equal(second(frontier), division.suffix(frontier))
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_batch_norm_in_live_layers_keeps_its_stored_statistics() -> None:
    division = _divided(_network("resnet18", 48), 48, 3)
    before = {name: value.clone() for name, value in division.suffix.named_buffers()}
    assert before
    with torch.no_grad():
        frontier = division.prefix(_images(48))
    division.suffix(frontier)
    assert not any(part.training for part in division.suffix.modules())
    assert all(torch.equal(value, before[name]) for name, value in division.suffix.named_buffers())
    assert any(name.endswith("bn2.weight") for name in division.live)


@pytest.mark.parametrize("unfrozen", [-1, 21])
def test_more_layers_than_there_are(unfrozen: int) -> None:
    with pytest.raises(InputError, match=f"expected 0 to 20, .* found {unfrozen}") as raised:
        cuts(_on_meta("resnet18"), 224, Scope(unfrozen=unfrozen))
    assert "--unfrozen between 0 and 20" in raised.value.advice


class _Branching(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3)
        self.second = nn.Linear(4, 4)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        pooled = self.first(images).mean((2, 3))
        return self.second(pooled) if pooled.sum() > 0 else -self.second(pooled)


def test_a_network_without_graph_goes_through_as_a_whole() -> None:
    network = _Branching().eval().requires_grad_(False)
    with pytest.raises(UntraceableError, match="branches on the numbers"):
        cuts(network, 8, Scope(unfrozen=1))
    cut = whole(network, 8, Scope(unfrozen=1))
    assert cut.is_pixels
    assert cut.weight_layers == ("first", "second")
    assert cut.live == ("second.weight", "second.bias")
    division: Division = cut.build()
    _assert_parity(network, 8, cut)
    assert division.values_per_view == 3 * 8 * 8


def test_values_per_view_counts_every_tensor() -> None:
    cut = cuts(_on_meta("densenet121"), 224, Scope(unfrozen=3))[1]
    assert cut.values_per_view == sum(math.prod(shape) for shape in cut.shapes)
    assert len(cut.shapes) == 16


def test_attention_of_torch_itself_holds_two_weight_layers() -> None:
    with torch.device("meta"):
        network = torchvision.models.vit_b_16(weights=None).eval()
    network.heads = nn.Identity()
    cut = cuts(network, 224, Scope(unfrozen=3))[0]
    block = "encoder.layers.encoder_layer_11"
    assert cut.weight_layers[-4:-2] == (f"{block}.self_attention", f"{block}.self_attention.out_proj")
    assert f"{block}.self_attention.out_proj.weight" in cut.live
    assert f"{block}.self_attention.in_proj_weight" not in cut.live
