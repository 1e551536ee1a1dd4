"""Networks that end earlier or are pooled otherwise: their features beside hooks on the library's own network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from orchestrator.store.errors import InputError
from search_spaces.form import Form
from search_spaces.live import Scope
from trainables.network.backbone import architecture_of, open_backbone, skeleton
from trainables.network.frontier import places_to_cut

VIT, RESNET, TORCHVISION = "vit_tiny_patch16_224", "resnet18", "torchvision:vit_b_32"


def images(size: int, count: int = 2) -> torch.Tensor:
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(0))


def yielded(name: str, size: int, parts: list[str]) -> tuple[nn.Module, list[torch.Tensor]]:
    """The library's network and what its parts yield, by hooks."""
    network = open_backbone(Form(name, size), "none", 0).module
    found: dict[str, torch.Tensor] = {}
    for part in parts:
        network.get_submodule(part).register_forward_hook(
            lambda module, given, value, part=part: found.update({part: value.clone()})
        )
    with torch.no_grad():
        network(images(size))
    return network, [found[part] for part in parts]


def mean(values: torch.Tensor) -> torch.Tensor:
    return values.mean((2, 3))


def normed(parts: list[str], norm: str, pool: Callable[[torch.Tensor], torch.Tensor]) -> Callable[..., torch.Tensor]:
    """What the last norm makes of these parts' tokens, pooled and joined."""

    def expected(network: nn.Module, values: list[torch.Tensor]) -> torch.Tensor:
        return torch.cat([pool(network.get_submodule(norm)(value)) for value in values], 1)

    expected.parts = parts  # type: ignore[attr-defined]
    return expected


def joined(parts: list[str], pool: Callable[[torch.Tensor], torch.Tensor]) -> Callable[..., torch.Tensor]:
    def expected(network: nn.Module, values: list[torch.Tensor]) -> torch.Tensor:
        return torch.cat([pool(value) for value in values], 1)

    expected.parts = parts  # type: ignore[attr-defined]
    return expected


def blocks(*numbers: int) -> list[str]:
    return [f"blocks.{number}" for number in numbers]


def layers(*numbers: int) -> list[str]:
    return [f"encoder.layers.encoder_layer_{number}" for number in numbers]


def first(tokens: torch.Tensor) -> torch.Tensor:
    return tokens[:, 0]


def patches(tokens: torch.Tensor) -> torch.Tensor:
    return tokens[:, 1:].mean(1)


def both(tokens: torch.Tensor) -> torch.Tensor:
    return torch.cat([first(tokens), patches(tokens)], 1)


FORMS: list[tuple[Form, Any]] = [
    (Form(RESNET, 64, "layer3"), joined(["layer3"], mean)),
    (Form(RESNET, 64, "layer3.0.conv1"), joined(["layer3.0.conv1"], mean)),
    (Form(RESNET, 64, "", "own", 3), joined(["layer2", "layer3", "layer4"], mean)),
    (Form(RESNET, 64, "layer3", "own", 2), joined(["layer2", "layer3"], mean)),
    (Form("torchvision:vgg11", 32, "features.13"), joined(["features.13"], mean)),
    (Form("torchvision:vgg11", 32, "classifier.1"), joined(["classifier.1"], lambda rows: rows)),
    (Form("convnext_atto", 64, "stages.2"), joined(["stages.2"], mean)),
    (Form("densenet121", 64, "features.denseblock3"), joined(["features.denseblock3"], mean)),
    (Form("inception_v3", 96, "Mixed_6e"), joined(["Mixed_6e"], mean)),
    (Form("swin_tiny_patch4_window7_224", 64, "layers.2"), joined(["layers.2"], lambda maps: maps.mean((1, 2)))),
    (Form(VIT, 64, "blocks.8"), joined(blocks(8), first)),
    (Form(VIT, 64, "blocks.8", "mean"), joined(blocks(8), patches)),
    (Form(VIT, 64, "blocks.8", "both", 3), joined(blocks(6, 7, 8), both)),
    (Form(VIT, 64, "", "class_token"), normed(blocks(11), "norm", first)),
    (Form(VIT, 64, "", "mean"), normed(blocks(11), "norm", patches)),
    (Form(VIT, 64, "", "both"), normed(blocks(11), "norm", both)),
    (Form(VIT, 64, "", "own", 4), normed(blocks(8, 9, 10, 11), "norm", first)),
    (Form("vit_small_patch14_reg4_dinov2", 56, "", "mean"), normed(blocks(11), "norm", lambda t: t[:, 5:].mean(1))),
    (Form("mixer_s16_224", 224, "", "mean"), normed(["blocks.7"], "norm", lambda tokens: tokens.mean(1))),
    (Form(TORCHVISION, 64, "", "mean"), normed(layers(11), "encoder.ln", patches)),
    (Form(TORCHVISION, 64, "", "own", 2), normed(layers(10, 11), "encoder.ln", first)),
    (Form(TORCHVISION, 64, layers(5)[0]), joined(layers(5), first)),
    (Form("own:lenet5", 32, "avg_pool2"), joined(["avg_pool2"], mean)),
    (Form("own:vit_p14", 56, "", "own", 2), normed(blocks(6, 7), "norm", first)),
]


@pytest.mark.slow
@pytest.mark.parametrize(("form", "expected"), FORMS, ids=[" ".join(map(str, form)) for form, _ in FORMS])
def test_features_are_those_of_the_parts(form: Form, expected: Any) -> None:
    opened = open_backbone(form, "none", 0)
    network, values = yielded(form.backbone, form.image_size or 0, expected.parts)
    with torch.no_grad():
        found, wanted = opened.module(images(form.image_size or 0)), expected(network, values)
    assert found.shape == (2, opened.facts.feature_width)
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)
    assert not any(parameter.requires_grad for parameter in opened.module.parameters())


@pytest.mark.slow
@pytest.mark.parametrize("form", [form for form, _ in FORMS], ids=[" ".join(map(str, form)) for form, _ in FORMS])
def test_facts_without_weights_are_those_with(form: Form) -> None:
    """Parameters are those of the library's network under their own names, without what the end leaves behind."""
    opened = open_backbone(form, "none", 0)
    assert architecture_of(form).facts == opened.facts
    whole = open_backbone(form._replace(ends_at="", pooling="own", joined=1), "none", 0)
    state, every = dict(opened.module.named_parameters()), dict(whole.module.named_parameters())
    assert state.keys() <= every.keys()
    assert all(torch.equal(value, every[name]) for name, value in state.items())
    assert opened.facts.parameters == sum(parameter.numel() for parameter in opened.module.parameters())
    assert opened.facts.weight_layers <= whole.facts.weight_layers
    if form.ends_at:
        assert opened.facts.weight_layers < whole.facts.weight_layers


CUT = [
    Form(RESNET, 64, "layer2"),
    Form(RESNET, 64, "", "own", 2),
    Form(VIT, 64, "blocks.4", "both"),
    Form(VIT, 64, "", "mean", 4),
    Form("own:lenet5", 32, "linear1"),
]


@pytest.mark.parametrize(
    "unfrozen", [0, pytest.param(1, marks=pytest.mark.slow), pytest.param(2, marks=pytest.mark.slow), 3]
)
@pytest.mark.parametrize("form", CUT, ids=[" ".join(map(str, form)) for form in CUT])
def test_frozen_and_live_parts_make_the_network(form: Form, unfrozen: int) -> None:
    network = open_backbone(form, "none", 0).module
    size, scope = form.image_size or 0, Scope(unfrozen=unfrozen)
    names = []
    for cut in places_to_cut(network, size, scope):
        division = cut.build()
        with torch.no_grad():
            expected = network(images(size, 3))
            found = division.suffix(division.prefix(images(size, 3)))
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
        names.append(cut.layer)
        assert len({name.rpartition(".")[0] for name in division.live}) >= unfrozen
        assert set(division.live) <= {name for name, _ in network.named_parameters()}
    assert (len(names) > 1) is (unfrozen < architecture_of(form).facts.weight_layers), "something is cached"
    assert names == [cut.layer for cut in places_to_cut(skeleton(form), size, scope)]


def test_its_own_pooling_is_the_network_itself() -> None:
    opened = open_backbone(Form(VIT, 64), "none", 0)
    assert type(opened.module).__name__ == "VisionTransformer"
    other = open_backbone(Form(VIT, 64, "", "class_token"), "none", 0)
    with torch.no_grad():
        torch.testing.assert_close(opened.module(images(64)), other.module(images(64)))


@pytest.mark.parametrize(
    ("form", "said", "advice"),
    [
        (
            Form(RESNET, 64, "layerr3"),
            "network.ends_at: expected the name of a layer or block",
            "Nearest names: layer3",
        ),
        (Form(RESNET, 64, "nothing like it"), "found 'nothing like it'", "Nearest names: conv1, bn1, act1"),
        (Form(RESNET, 64, "", "mean"), r'network.pooling: expected "own" \(it has no tokens\), found "mean"', "Leave"),
        (Form(VIT, 64, "norm", "both", 99), "network.joined: expected at most as many", "Choose fewer"),
        (Form(RESNET, 64, "layer2", "class_token"), r"\(it has no tokens there\)", "Leave"),
        (Form("mixer_s16_224", 224, "", "both"), r"there is no class token there\), found \"both\"", "mean"),
        (Form(RESNET, 64, "", "own", 9), "found 9 of 5", "Choose fewer"),
        (Form("own:lenet5", 32, "", "own", 2), "found 2 of none that are known", "Choose fewer"),
        (
            Form("inception_v3", 40, "Mixed_5d"),
            "expected an image size that the network accepts, found 40 pixels",
            "Its default size",
        ),
    ],
)
def test_what_a_network_has_not_is_refused(form: Form, said: str, advice: str) -> None:
    with pytest.raises(InputError, match=said) as told:
        architecture_of(form)
    assert advice in (told.value.advice or "")
