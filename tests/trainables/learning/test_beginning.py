"""Which configurations can begin from which: before anything is trained."""

from __future__ import annotations

from typing import Any

import pytest

from search_spaces.configuration import Configuration
from tests.support.configurations import configured
from trainables.learning.stages import changing, unfit

WIDTH = 96
N1 = {"non_linearities": 1}
DRAWN = {"unfrozen": 2, "start": "drawn"}
LORA = {"adaptation": "lora", "backbone": "timm:test_vit.r160_in1k", "image_size": 160, "store_size": 160}


def child_of(parent: Configuration, **settings: Any) -> Configuration:
    return configured(**{**settings, "parent": f"{parent.id}:5"})


def reasons(parent: dict[str, Any], child: dict[str, Any]) -> list[str]:
    before = configured(**parent)
    return [reason.replace(before.id, "ID") for reason in unfit(child_of(before, **child), before, WIDTH)]


@pytest.mark.parametrize(
    ("parent", "child"),
    [
        ({}, {"lr": 0.01}),
        ({}, {"unfrozen": 2}),
        ({"unfrozen": 1}, {"unfrozen": 1, "balance": "class_weights"}),
        ({"unfrozen": 1}, {"unfrozen": 3, "optimiser": "adamw"}),
        ({"unfrozen": 1, "norms": "moving"}, {"unfrozen": 2, "norms": "moving"}),
        ({"head": "logistic"}, {"lr": 0.01}),
        ({"non_linearities": 1, "dropout": 0.5}, {"non_linearities": 1, "dropout": 0.1}),
        ({"unfrozen": 2, "start": "drawn"}, {"unfrozen": 2, "start": "drawn", "lr": 0.01}),
        ({"unfrozen": 2, "start": "drawn"}, {"unfrozen": 3}),
        ({**LORA, "rank": 4}, {**LORA, "rank": 4, "lr": 0.01}),
        ({**LORA, "adaptation": "last"}, {**LORA, "rank": 4}),
    ],
)
def test_what_fits(parent: dict[str, Any], child: dict[str, Any]) -> None:
    assert reasons(parent, child) == []


@pytest.mark.parametrize(
    ("parent", "child", "reason"),
    [
        ({}, {"backbone": "timm:resnet18.tv_in1k"}, "network.backbone: expected timm:test_resnet.r160_in1k, as its"),
        ({}, {"weights": "init:6"}, "network.weights: expected init:5, as its parent ID has it, found init:6"),
        ({}, {"data": "e" * 64}, "data.content: expected dddd"),
        ({}, {"image_size": 64, "store_size": 64}, "image.size: expected 32, as its parent ID has it, found 64"),
        ({}, {"fit": "pad"}, "image.fit: expected crop, as its parent ID has it, found pad"),
        ({}, {"non_linearities": 1}, "head: expected that of its parent ID (96 → 1), found 96 → 48 – LeakyReLU(0.1)"),
        ({}, {"head": "logistic"}, 'head.name: expected one that is trained in steps, found "logistic", which begins'),
        ({"unfrozen": 2}, {"unfrozen": 1}, "adaptation: expected at least what its parent ID trained or moved, found "),
        ({"unfrozen": 1, "norms": "moving"}, {"unfrozen": 2}, "adaptation: expected at least what its parent ID"),
        (N1, {**N1, "negative_slope": 0.3}, "head: expected that of its parent ID (96 → 48 – LeakyReLU(0.1)"),
        (N1, {**N1, "activation": "gelu"}, "head: expected that of its parent ID (96 → 48 – LeakyReLU(0.1)"),
        ({}, {"adaptation": "whole", "start": "drawn"}, "adaptation.start: expected weights, since the drawn ones"),
        (DRAWN, {**DRAWN, "unfrozen": 3}, "adaptation.start: expected weights, since the drawn ones would take"),
        ({**LORA, "rank": 4}, {**LORA, "rank": 2}, "adaptation.rank: expected 4, as its parent ID has it, found 2"),
        (
            LORA,
            {**LORA, "adaptation.alpha": 32.0},
            "adaptation.alpha: expected 16.0, as its parent ID has it, found 32.0",
        ),
    ],
)
def test_what_does_not_fit_is_told(parent: dict[str, Any], child: dict[str, Any], reason: str) -> None:
    found = reasons(parent, child)
    assert found
    assert found[0].startswith(reason), found


def test_another_standardisation_is_one_fault() -> None:
    assert reasons({"standardisation": "weights", "mean": (0.5,) * 3, "std": (0.5,) * 3}, {}) == [
        "image.standardisation: expected weights, as its parent ID has it, found train"
    ]


def test_an_unknown_parent_and_one_that_is_itself_are_told() -> None:
    one = child_of(configured(), lr=0.01)
    assert list(unfit(one, None, WIDTH)) == [
        f"parent: expected a configuration of the study, found {one.parent}, which is none"
    ]
    assert list(unfit(one, one, WIDTH)) == [f"parent: expected another configuration, found {one.id} itself"]


def test_more_layers_change_more() -> None:
    none, one, two, moving = (
        changing(configured(**settings))
        for settings in ({}, {"unfrozen": 1}, {"unfrozen": 2}, {"unfrozen": 2, "norms": "moving"})
    )
    assert none < one < two < moving
    assert any(name.endswith("running_mean") for name in moving)


@pytest.mark.parametrize("parent", ["abc", "0123456789ab", "0123456789ab:", "0123456789ab:0", "0123456789ab:1x"])
def test_a_parent_is_an_id_and_epochs(parent: str) -> None:
    with pytest.raises(ValueError, match="parent"):
        configured(parent=parent)
