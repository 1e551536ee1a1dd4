"""What one pass over the images serves: all that agree in what is frozen, at any depth; without Ray."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.running.stages import FeatureStage, feature_options
from orchestrator.store.layout import ConfigurationKey
from orchestrator.store.place import Place
from tests.support.tiny_study import TinyStudy, make_tiny_study
from trainables.features.cache_use import CacheUse


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> TinyStudy:
    return make_tiny_study(tmp_path_factory.mktemp("stages"))


def passes(study: TinyStudy, *wanted: dict[str, Any], partitions: tuple[str, ...] = ("p",)) -> list[list[int]]:
    """The depths that each serves."""
    stage = FeatureStage(
        Place.of(study.folder), study.bench(), lambda: 1, feature_options(0), CacheUse(study.cache, None)
    )
    ids = [study.configuration(**settings).id for settings in wanted]
    stage.add(ConfigurationKey(partition, name) for partition in partitions for name in ids)
    return [sorted(one.depths) for one in stage._passes.values()]


def test_heads_rates_and_depths_share_one(study: TinyStudy) -> None:
    learning: list[dict[str, Any]] = [
        {"lr": 0.5},
        {"batch_size": 3, "momentum": 0.5, "weight_decay": 0.1},
        {"optimiser": "adam", "betas": (0.5, 0.9)},
        {"non_linearities": 2, "dropout": 0.1, "negative_slope": 0.3},
        {"selection": "accuracy"},
    ]
    asked = [{"unfrozen": depth, **settings} for depth in (0, 1, 3) for settings in learning]
    assert passes(study, *asked) == [[0, 1, 3]]
    assert passes(study, *asked, partitions=("p", "q")) == [[0, 1, 3]] * 2


@pytest.mark.parametrize(
    "other",
    [
        {"backbone": "timm:test_vit.r160_in1k"},
        {"weights": "init:6"},
        {"precision": "bf16"},
        {"image_size": 24},
        {"store_size": 40},
        {"crops": 2},
        {"interpolation": "bicubic"},
        {"standardisation": "weights", "mean": (0.4,) * 3, "std": (0.2,) * 3},
        {"views": 2},
        {"balance": "class_weights"},
        {"study_seed": 6},
        {"classes": ("many", "few")},
    ],
    ids=lambda other: next(iter(other)),
)
def test_what_changes_images_network_or_features_has_its_own(study: TinyStudy, other: dict[str, Any]) -> None:
    assert passes(study, {}, {"unfrozen": 1}, other, {"unfrozen": 1, **other}) == [[0, 1]] * 2


def test_statistics_of_weights_are_told_apart(study: TinyStudy) -> None:
    base: dict[str, Any] = {"standardisation": "weights", "mean": (0.4,) * 3, "std": (0.2,) * 3}
    assert len(passes(study, base, {**base, "mean": (0.5,) * 3}, {**base, "std": (0.3,) * 3})) == 3
