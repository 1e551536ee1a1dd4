"""Networks declared as data: what is built of them, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import timm
import torch
from torch import nn

from orchestrator.store.errors import InputError
from orchestrator.store.storage import LocalStorage
from search_spaces import own_networks
from search_spaces.form import Form
from search_spaces.own_networks import own_names, own_network, read_network, whole_own_name
from trainables.network.backbone import architecture_of, open_backbone
from trainables.network.known_backbones import KnownBackbones
from trainables.network.own import own_module

PLAIN = """
image_size = 16
layers = [{ layer = "conv", width = 4, window = 3 }, "relu", { layer = "adaptive_pool" }, "flatten"]
"""


@pytest.fixture
def networks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of declarations in the place of the project's own."""
    monkeypatch.setattr(own_networks, "_NETWORKS", tmp_path)
    own_network.cache_clear()
    (tmp_path / "plain.toml").write_text(PLAIN)
    yield tmp_path
    own_network.cache_clear()


@pytest.mark.parametrize("name", own_names())
def test_facts_are_those_of_the_network(name: str) -> None:
    opened = open_backbone(Form(name), "none", 3)
    assert architecture_of(Form(name)).facts == opened.facts.__class__(**{**vars(opened.facts), "weights": "init:0"})
    assert (opened.facts.name, opened.facts.weights) == (whole_own_name(name), "init:3")
    assert opened.origin == "initialised from seed 3"
    size = opened.facts.image_size
    with torch.no_grad():
        assert opened.module(torch.zeros(2, 3, size, size)).shape == (2, opened.facts.feature_width)
    held = [part for part in opened.module.modules() if isinstance(part, nn.Conv2d | nn.Linear)]
    assert opened.facts.weight_layers == len(held)


def test_lenet_is_the_one_of_the_paper() -> None:
    """With three channels: 156 + 300 weights of the first layer, 61,706 with ten outputs in all but for those."""
    opened = open_backbone(Form("own:lenet5"), "none", 0)
    assert opened.facts.parameters + 84 * 10 + 10 == 61_706 + 2 * 6 * 25
    sizes = [tuple(one.shape) for one in opened.module.parameters() if one.ndim > 1]
    assert sizes == [(6, 3, 5, 5), (16, 6, 5, 5), (120, 400), (84, 120)]


@pytest.mark.parametrize(
    ("name", "width"), [("own:cnn4", 6400), ("own:cnn5", 4608), ("own:cnn5_256", 20_736), ("own:zfnet", 4096)]
)
def test_widths_are_those_of_the_studies(name: str, width: int) -> None:
    assert architecture_of(Form(name)).facts.feature_width == width


def test_a_transformer_is_that_of_timm() -> None:
    """Another network of the same sizes gives the same features with its weights."""
    opened = open_backbone(Form("own:vit_small_p16", 32), "none", 0)
    plain = timm.create_model("vit_small_patch16_224", img_size=32, num_classes=0).eval()
    plain.load_state_dict(opened.module.state_dict())
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(opened.module(images), plain(images))


def test_initial_values_follow_from_the_seed() -> None:
    """As torch draws them one layer after the other; nothing else of the process is moved."""
    before = torch.random.get_rng_state()
    first, again, other = (open_backbone(Form("own:lenet5"), "none", seed).module for seed in (3, 3, 4))
    assert torch.equal(before, torch.random.get_rng_state())
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        plain = nn.Conv2d(3, 6, 5), nn.Conv2d(6, 16, 5)
    for name, layer in zip(("conv1", "conv2"), plain, strict=True):
        assert torch.equal(first.get_parameter(f"{name}.weight"), layer.weight)
        assert torch.equal(again.get_parameter(f"{name}.weight"), layer.weight)
        assert not torch.equal(other.get_parameter(f"{name}.weight"), layer.weight)


def test_every_kind_of_layer() -> None:
    declared = {
        "image_size": 16,
        "layers": [
            {"layer": "conv", "width": 4, "window": 3, "stride": 1, "padding": 1},
            "batch_norm",
            {"layer": "leaky_relu", "slope": 0.2},
            {"layer": "avg_pool", "window": 2},
            "gelu",
            {"layer": "max_pool", "window": 3, "stride": 2, "padding": 1},
            {"layer": "adaptive_pool", "size": 2},
            "flatten",
            {"layer": "linear", "width": 5},
            "batch_norm",
            "relu",
        ],
    }
    found = own_module(read_network(declared, "x"), None, "own:x").eval()
    plain = nn.Sequential(
        *(nn.Conv2d(3, 4, 3, 1, 1), nn.BatchNorm2d(4), nn.LeakyReLU(0.2), nn.AvgPool2d(2), nn.GELU()),
        *(nn.MaxPool2d(3, 2, 1), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, 5), nn.BatchNorm1d(5), nn.ReLU()),
    ).eval()
    plain.load_state_dict(dict(zip(plain.state_dict(), found.state_dict().values(), strict=True)))
    images = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(found(images), plain(images))
    assert [name for name, _ in found.named_children()][:3] == ["conv1", "batch_norm1", "leaky_relu1"]


def test_an_unknown_name_is_told_the_nearest() -> None:
    with pytest.raises(InputError, match="own:lenet4") as told:
        architecture_of(Form("own:lenet4"))
    assert "own:lenet5" in told.value.advice
    with pytest.raises(InputError) as told:
        architecture_of(Form("lenet5"))
    assert "own:lenet5" in told.value.advice


@pytest.mark.parametrize(
    ("form", "said"),
    [
        (
            Form("own:cnn4", 32),
            "max_pool4: expected a window that fits into the 4 × 4 positions left there by 32 pixels",
        ),
        (Form("own:vit_p14", 100), "expected an image size divisible by its patch size, 14 pixels, found 100 pixels"),
    ],
)
def test_a_size_that_does_not_fit_is_refused(form: Form, said: str) -> None:
    with pytest.raises(InputError, match=said) as told:
        architecture_of(form)
    assert told.value.advice == "Its own size is 224 pixels."


def test_another_declaration_is_another_network(networks: Path, tmp_path: Path) -> None:
    """The hash in the name tells them apart, also where facts were kept; a comment is no other declaration."""
    cache = LocalStorage(tmp_path / "cache")
    known = KnownBackbones(cache)
    first = known.architecture(Form("own:plain")).facts
    known.keep()
    (networks / "plain.toml").write_text("# a comment" + PLAIN)
    own_network.cache_clear()
    assert KnownBackbones(cache).architecture(Form("own:plain")).facts == first
    (networks / "plain.toml").write_text(PLAIN.replace("width = 4", "width = 6"))
    own_network.cache_clear()
    second = KnownBackbones(cache).architecture(Form("own:plain")).facts
    assert (first.feature_width, second.feature_width) == (4, 6)
    assert first.name != second.name
    with pytest.raises(InputError, match=f"expected {second.name}, as search_spaces/networks/plain.toml declares it"):
        open_backbone(Form(first.name), "none", 0)


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        (
            'image_size = 4\nlayer = []\nlayers = ["reluu", { layer = "conv", width = 0, widow = 3 }, "conv"]',
            [
                'layer: expected "image_size", "layers" or "transformer", found an unknown key; '
                "did you mean 'layers'?",
                "image_size: expected a whole number from 8 to 4,096, found 4",
                'layers[0]: expected "conv", "batch_norm", "relu", "leaky_relu", "gelu", "max_pool", '
                '"avg_pool", "adaptive_pool", "flatten" or "linear", found "reluu"; did you mean \'relu\' or \'gelu\'?',
                'layers[1] (conv).widow: expected "width", "window", "stride" or "padding", found an unknown '
                "key; did you mean 'window' or 'width'?",
                "layers[1] (conv).width: expected a whole number from 1 to 16,384, found 0",
                "layers[1] (conv).window: expected a whole number from 1 to 16,384, found nothing",
                "layers[2] (conv).width: expected a whole number from 1 to 16,384, found nothing",
                "layers[2] (conv).window: expected a whole number from 1 to 16,384, found nothing",
            ],
        ),
        ("image_size = 32", ["layers: expected either layers or transformer, found neither"]),
        ("image_size = 32\nlayers = 3", ["layers: expected a list of 1 to 1,000 layers"]),
        (
            "image_size = 32\ntransformer = { patch = 8, depth = 2, width = 10, heads = 3 }",
            ["transformer.width: expected a multiple of its heads, found 10"],
        ),
        (
            'image_size = 32\nlayers = [{ layer = "leaky_relu", slope = 2 }, { layer = "relu", width = 2 }]',
            [
                "layers[0] (leaky_relu).slope: expected a number of 0 or more, below 1, found 2",
                "layers[1] (relu).width: expected nothing, found an unknown key",
            ],
        ),
    ],
)
def test_all_faults_of_a_declaration_are_told(networks: Path, text: str, faults: list[str]) -> None:
    (networks / "mine.toml").write_text(text)
    with pytest.raises(InputError) as told:
        architecture_of(Form("own:mine"))
    assert list(told.value.faults) == faults
    assert told.value.message.startswith("search_spaces/networks/mine.toml: ")


def test_what_is_no_toml_is_refused(networks: Path) -> None:
    (networks / "mine.toml").write_text("layers = [")
    with pytest.raises(InputError, match=r"networks/mine\.toml: expected TOML, found"):
        architecture_of(Form("own:mine"))


@pytest.mark.parametrize(
    ("layers", "said"),
    [
        ('[{ layer = "linear", width = 3 }]', "linear1: expected rows of features, found maps"),
        ('["flatten", { layer = "conv", width = 3, window = 1 }]', "conv1: expected maps, found rows of features"),
        ('[{ layer = "conv", width = 3, window = 1 }]', "expected one row of pooled features per image, found"),
    ],
)
def test_layers_that_do_not_fit_one_another(networks: Path, layers: str, said: str) -> None:
    (networks / "mine.toml").write_text(f"image_size = 32\nlayers = {layers}")
    with pytest.raises(InputError, match=said):
        architecture_of(Form("own:mine"))
