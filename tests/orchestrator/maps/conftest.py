"""A small trained study whose networks have several places."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import nn

from orchestrator.maps.network import Repeats
from orchestrator.maps.passes import opened_backbone
from orchestrator.maps.registry import METHODS
from tests.support.finished_study import REPEATS, FinishedStudy, finished_study
from trainables.bundles.trained import trained

SIZE = {"image_size": 96, "store_size": 96}
VIT = {"backbone": "timm:test_vit.r160_in1k", "image_size": 32, "store_size": 32}


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> FinishedStudy:
    root = tmp_path_factory.mktemp("maps")
    hidden = {"non_linearities": 1, "lr": 0.01}
    return finished_study(
        root,
        ("few", "many", "some"),
        plain=SIZE,
        hidden=SIZE | hidden,
        deep=SIZE | {"unfrozen": 2},
        vit=VIT,
        lora=VIT | {"adaptation": "lora", "rank": 2, "lr": 0.003},
        whole=SIZE | {"adaptation": "whole", "lr": 0.001},
    )


def backbone_of(repeats: Repeats, repeat: int) -> nn.Module:
    """With the weights of a repeat in it."""
    for several in repeats.turns():
        if repeat in several:
            return repeats.backbone
    raise AssertionError(repeat)


@dataclass(frozen=True)
class Opened:
    """images: standardised valid ones, with their targets."""

    repeats: Repeats
    images: torch.Tensor
    targets: torch.Tensor

    def backbone(self, repeat: int) -> nn.Module:
        return backbone_of(self.repeats, repeat)

    def score(self, repeat: int, features: torch.Tensor) -> torch.Tensor:
        return self.repeats.heads[repeat](features).gather(1, self.targets[:, None])[:, 0]


@pytest.fixture(scope="session")
def opened(study: FinishedStudy) -> Callable[..., Opened]:
    """Repeats of a configuration by name, for a method, and some valid images with classes 0, 1, 2, 0 …"""

    def of(name: str, method: str = "gradcam", count: int = 5) -> Opened:
        bench, c = study.tiny.bench(), study.configurations[name]
        frozen = bench.frozen_ready(c, study.tiny.partition)
        models = trained(bench, study.tiny.partition, c.id, range(REPEATS))
        backbone, layer = opened_backbone(bench, frozen, METHODS[method])
        weights, width = [model.weights for model in models.values()], bench.facts(c).feature_width
        repeats = Repeats([c] * len(weights), backbone, width, weights, bench.device, layer)
        rows = frozen.samples.scoring["valid"][:count]
        targets = torch.from_numpy(np.arange(count, dtype=np.int64) % 3)
        return Opened(repeats, frozen.reader(bench.device).batch(rows), targets)

    return of
