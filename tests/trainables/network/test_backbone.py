"""Backbones are named, opened and described alike, from a file or a seed."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from orchestrator.store.errors import InputError
from search_spaces.backbones import renamed
from search_spaces.form import Form
from tests.support.checkout import SHARED
from trainables.machine.places import FilePart
from trainables.network.backbone import facts_of, open_backbone
from trainables.network.backbone_names import resolve_name
from trainables.network.calibration import calibrate

WEIGHTS = SHARED / "weights"


@pytest.mark.parametrize(
    ("asked", "resolved"),
    [
        ("inception_v3", "timm:inception_v3.tv_in1k"),
        ("resnet18", "timm:resnet18.a1_in1k"),
        ("timm:resnet18.tv_in1k", "timm:resnet18.tv_in1k"),
        ("mobilenetv2_035", "timm:mobilenetv2_035"),
        ("squeezenet1_1", "torchvision:squeezenet1_1"),
        ("timm/resnet18.tv_in1k", "timm:resnet18.tv_in1k"),
        ("hf-hub:timm/resnet18.a1_in1k", "timm:resnet18.a1_in1k"),
        ("hf_hub:timm/resnet18", "timm:resnet18.a1_in1k"),
        ("tf_efficientnet_b0_ns", "timm:tf_efficientnet_b0.ns_jft_in1k"),
        ("timm:tf_efficientnet_b0_ns", "timm:tf_efficientnet_b0.ns_jft_in1k"),
        ("efficientnet_b2a", "timm:efficientnet_b2.ra_in1k"),
        ("vit_base_patch16_224_sam", "timm:vit_base_patch16_224.sam_in1k"),
        ("resmlp_12_224_dino", "timm:resmlp_12_224.fb_dino"),
        ("torchvision:vgg19", "torchvision:vgg19"),
    ],
)
def test_names(asked: str, resolved: str) -> None:
    assert resolve_name(asked) == resolved
    assert resolve_name(resolved) == resolved


@pytest.mark.parametrize(
    ("asked", "message", "advice"),
    [
        ("resnet81", "found no such name in timm and torchvision", "resnet18"),
        ("squeezenet", "found no such name in", "squeezenet1_1"),
        ("torchvision:inception_v4", "found no such name in torchvision", "inception_v3"),
        ("keras:resnet18", "found 'keras' before the colon", "'resnet18'"),
        ("resnet18.imagenet", "found 'imagenet'", "tv_in1k"),
        ("EfficientNet-B0", "found no such name in timm and torchvision", "efficientnet_b0"),
        ("resnet81.a1_in1k", "found no such name in timm and torchvision", "resnet18"),
        ("hf-hub:someone/net", "expected a repository of timm, hf-hub:timm/NAME, found 'someone/net'", "--weights"),
    ],
)
def test_unknown_names_suggest_near_ones(asked: str, message: str, advice: str) -> None:
    with pytest.raises(InputError) as raised:
        resolve_name(asked)
    assert message in raised.value.message
    assert advice in raised.value.advice


def test_every_name_that_timm_has_given_up_means_one_of_today() -> None:
    import timm
    from timm.models import _registry

    today = set(timm.list_models())
    assert len(_registry._deprecated_models) > 200
    for old in _registry._deprecated_models:
        resolved = resolve_name(old)
        assert resolved.removeprefix("timm:").partition(".")[0] in today
        assert renamed(old, resolved) == [f"{old} is an old name; it is now called {resolved}."]
    assert renamed("timm/resnet18", resolve_name("resnet18")) == []


@pytest.mark.parametrize(
    ("name", "width", "layers", "parameters", "size"),
    [
        ("inception_v3", 2048, 94, 21_785_568, 299),
        ("vgg19", 4096, 18, 139_570_240, 224),
        ("torchvision:vgg19", 4096, 18, 139_570_240, 224),
        ("resnet18", 512, 20, 11_176_512, 224),
        ("torchvision:resnet18", 512, 20, 11_176_512, 224),
        ("squeezenet1_1", 512, 25, 722_496, 224),
        ("densenet121", 1024, 120, 6_953_856, 224),
        ("torchvision:inception_v3", 2048, 94, 21_785_568, 299),
    ],
)
def test_facts(name: str, width: int, layers: int, parameters: int, size: int) -> None:
    facts = facts_of(Form(name), "none", 7)
    assert (facts.feature_width, facts.weight_layers, facts.parameters) == (width, layers, parameters)
    assert (facts.image_size, facts.weights, facts.name) == (size, "init:7", resolve_name(name))


def test_standardisation_of_the_weights() -> None:
    assert facts_of(Form("inception_v3"), "none", 0).mean == (0.5, 0.5, 0.5)
    assert facts_of(Form("resnet18"), "none", 0).std == (0.229, 0.224, 0.225)
    own = facts_of(Form("resnet18"), "none", 0, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
    assert (own.mean, own.std) == ((0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
    with pytest.raises(InputError, match="std of the weights: expected three positive numbers"):
        facts_of(Form("resnet18"), "none", 0, std=(0.5, 0.0, 0.5))


def test_fresh_weights_follow_from_the_seed_alone() -> None:
    torch.manual_seed(1)
    first = open_backbone(Form("mobilenetv2_035", 32), "none", 3)
    torch.manual_seed(2)
    state = torch.get_rng_state()
    second = open_backbone(Form("mobilenetv2_035", 32), "none", 3)
    assert torch.equal(torch.get_rng_state(), state)
    other = open_backbone(Form("mobilenetv2_035", 32), "none", 4)
    assert first.facts == second.facts == facts_of(Form("mobilenetv2_035", 32), "none", 3)
    assert other.facts.weights == "init:4"
    tensors = second.module.state_dict()
    assert all(torch.equal(value, tensors[name]) for name, value in first.module.state_dict().items())
    assert not torch.equal(other.module.state_dict()["conv_stem.weight"], tensors["conv_stem.weight"])
    assert not first.module.training
    assert not any(parameter.requires_grad for parameter in first.module.parameters())
    assert first.origin == "initialised from seed 3"


def test_a_fresh_network_tells_images_apart_once_calibrated() -> None:
    network = open_backbone(Form("mobilenetv2_035", 32), "none", 0).module
    images = torch.randn(8, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    calibrate(network, [images])
    with torch.no_grad():
        features = network(images)
    assert features.shape == (8, 1280)
    assert 0.05 < features.std(dim=0).mean() < 20


def test_a_size_that_the_network_cannot_take() -> None:
    with pytest.raises(InputError, match="found 32 pixels") as raised:
        facts_of(Form("inception_v3", 32), "none", 0)
    assert "299" in raised.value.advice


def test_a_transformer_is_built_for_the_size_asked() -> None:
    backbone = open_backbone(Form("vit_tiny_patch16_224", 32), "none", 0)
    assert backbone.module(torch.zeros(1, 3, 32, 32)).shape == (1, 192)
    assert facts_of(Form("torchvision:vit_b_16", 64), "none", 0).image_size == 64


@pytest.mark.parametrize(("name", "width"), [("mobilenetv2_035", 1280), ("squeezenet1_1", 512)])
def test_real_weights(name: str, width: int) -> None:
    path = WEIGHTS / f"{name}.pth"
    if not path.is_file():
        pytest.skip(f"{path} is not here")
    backbone = open_backbone(Form(name, 64), path, 0, mean=(0.5, 0.5, 0.5))
    assert backbone.facts.weights.startswith("sha256:")
    assert backbone.facts.mean == (0.5, 0.5, 0.5)
    assert backbone.facts == facts_of(Form(name, 64), path, 5, mean=(0.5, 0.5, 0.5))
    assert backbone.origin == f"file {name}.pth"
    stored = torch.load(path, weights_only=True)
    loaded = backbone.module.state_dict()
    assert all(torch.equal(value, stored[key]) for key, value in loaded.items())
    features = backbone.module(torch.zeros(2, 3, 64, 64))
    assert features.shape == (2, width)


def test_the_features_of_squeezenet_are_the_pooled_maps_before_its_classifier() -> None:
    backbone = open_backbone(Form("squeezenet1_1", 48), "none", 0)
    images = torch.randn(2, 3, 48, 48)
    maps = backbone.module.features(images)
    torch.testing.assert_close(backbone.module(images), maps.mean((2, 3)))


def test_weights_of_another_network() -> None:
    path = WEIGHTS / "squeezenet1_1.pth"
    if not path.is_file():
        pytest.skip(f"{path} is not here")
    with pytest.raises(InputError, match="0 of 260 tensors match; 260 are missing"):
        open_backbone(Form("mobilenetv2_035"), path, 0)


def test_a_teacher_of_another_architecture_is_refused_with_the_key_of_its_student(tmp_path: Path) -> None:
    import timm

    student = timm.create_model("test_resnet").state_dict()
    torch.save({"student": student, "teacher": timm.create_model("resnet18").state_dict()}, tmp_path / "w.pth")
    with pytest.raises(InputError, match="found another network's") as raised:
        open_backbone(Form("test_resnet"), tmp_path / "w.pth", 0)
    told = "teacher is used (averaged weights); it also holds student (--weights-key student)."
    assert raised.value.advice.endswith(f"--weights FILE. Of weights w.pth: {told}")
    opened = open_backbone(Form("test_resnet"), FilePart(tmp_path / "w.pth", "student"), 0)
    assert torch.equal(opened.module.state_dict()["conv1.0.weight"], student["conv1.0.weight"])


def test_an_architecture_without_weights_in_its_library() -> None:
    with pytest.raises(InputError, match="found none in its library") as raised:
        open_backbone(Form("mobilenetv2_035"), "hub", 0)
    assert "--weights none" in raised.value.advice
