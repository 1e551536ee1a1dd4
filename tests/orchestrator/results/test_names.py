"""Configurations that are listed together have names that tell them apart, and say no more than that needs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from orchestrator.results.names import describe_configuration, names_of
from search_spaces.configuration import Configuration
from tests.support.configurations import changed, configured

HEAD = configured(non_linearities=1, dropout=0.5)
SHORT = "test_resnet.r160_in1k n=1 lr 0.05 batch 8"


def named(*several: Configuration) -> list[str]:
    names = names_of(several)
    return [names[one.id] for one in several]


def test_what_the_short_name_says_is_not_said_again() -> None:
    several = [HEAD, changed(HEAD, lr=0.1), changed(HEAD, batch_size=16), changed(HEAD, unfrozen=2), configured()]
    assert named(*several) == [describe_configuration(one) for one in several]
    assert named(HEAD) == [SHORT]
    assert names_of([]) == {}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ([{"weight_decay": 0.0}, {"weight_decay": 1e-4}], ["weight decay 0", "weight decay 0.0001"]),
        ([{"dropout": 0.2}, {"dropout": 0.5}], ["dropout 0.2", "dropout 0.5"]),
        ([{"optimiser": "adam"}, {"optimiser": "adamw"}], ["optimiser adam", "optimiser adamw"]),
        ([{"crops": 1}, {"crops": 4}], ["crops 1", "crops 4"]),
        ([{"weights": "sha256:" + c * 64} for c in "ab"], ["weights sha256:aaaaaaaa", "weights sha256:bbbbbbbb"]),
        ([{"dropout": 0.1}, {"dropout": 0.1 + 1e-9}], ["dropout 0.1", "dropout 0.100000001"]),
    ],
)
def test_whatever_differs_is_said(settings: Sequence[dict[str, Any]], said: list[str]) -> None:
    assert named(*(changed(HEAD, **each) for each in settings)) == [f"{SHORT}, {one}" for one in said]


def test_a_setting_is_said_where_it_matters() -> None:
    adam = changed(HEAD, optimiser="adam", betas=(0.9, 0.99))
    several = [changed(HEAD, momentum=0.5), changed(HEAD, momentum=0.9), adam, changed(adam, betas=(0.9, 0.999))]
    assert named(*several) == [
        f"{SHORT}, optimiser sgd, momentum 0.5",
        f"{SHORT}, optimiser sgd, momentum 0.9",
        f"{SHORT}, optimiser adam, betas 0.9/0.99",
        f"{SHORT}, optimiser adam, betas 0.9/0.999",
    ]
    assert named(configured(), HEAD)[1] == SHORT, "a probe has no dropout: n tells them apart"


def test_a_head_that_is_fitted_has_no_rates() -> None:
    probe, fitted = configured(), configured(head="logistic", penalty=0.5)
    assert describe_configuration(fitted) == "test_resnet.r160_in1k fitted"
    assert named(probe, fitted, changed(fitted, penalty=0.25)) == [
        "test_resnet.r160_in1k lr 0.05 batch 8, head halving",
        "test_resnet.r160_in1k fitted, head logistic, penalty 0.5",
        "test_resnet.r160_in1k fitted, head logistic, penalty 0.25",
    ]


def test_what_comes_with_a_network_is_not_said_beside_its_name() -> None:
    own = {"standardisation": "weights", "std": (0.2,) * 3}
    one = configured(mean=(0.4,) * 3, **own)
    other = changed(one, backbone="timm:test_vit.r160_in1k", weights="init:6", image_size=24, mean=(0.5,) * 3)
    assert named(one, other) == [describe_configuration(each) for each in (one, other)]
    assert "mean 0.3/0.4/0.4" in named(one, other, changed(one, mean=(0.3, 0.4, 0.4)))[2]


def test_one_network_of_two_libraries() -> None:
    several = [changed(HEAD, backbone=f"{library}:resnet18") for library in ("timm", "torchvision")]
    assert [name.split()[0] for name in named(*several)] == ["timm:resnet18", "torchvision:resnet18"]


def test_no_two_of_a_large_grid_read_alike() -> None:
    several = [
        configured(non_linearities=n, dropout=dropout, optimiser=optimiser, weight_decay=decay, momentum=momentum)
        for n in (0, 1)
        for dropout in (0.2, 0.5)
        for optimiser in ("sgd", "adam", "adamw")
        for decay in (0.0, 0.1)
        for momentum in (0.5, 0.9)
    ]
    different = {one.id for one in several}
    assert len(different) == 3 * (2 * 2 + 2 + 2)
    assert len(set(names_of(several).values())) == len(different)
