"""Studies with results that every test of this folder may read."""

from __future__ import annotations

import pytest

from search_spaces.own_networks import whole_own_name
from tests.support.finished_study import FinishedStudy, finished_study


@pytest.fixture(scope="session")
def binary(tmp_path_factory: pytest.TempPathFactory) -> FinishedStudy:
    """Two classes: a linear probe, an added layer with crops, an unfrozen layer; a probe on a torchvision network."""
    return finished_study(
        tmp_path_factory.mktemp("binary"),
        ("few", "many"),
        probe={},
        extension={"non_linearities": 1, "dropout": 0.5, "store_size": 36, "crops": 3, "interpolation": "bicubic"},
        unfreezing={"unfrozen": 2, "lr": 0.005},
        torchvision={"backbone": "torchvision:squeezenet1_1"},
        padded={"fit": "pad", "store_size": 36},
        squashed={"fit": "squash"},
        within={"borders": "cropped", "fit": "pad"},
    )


@pytest.fixture(scope="session")
def several(tmp_path_factory: pytest.TempPathFactory) -> FinishedStudy:
    """Three classes on a torchvision network whose classifier is a convolution, and on timm's; a head without steps."""
    return finished_study(
        tmp_path_factory.mktemp("several"),
        ("few", "many", "some"),
        probe={"backbone": "torchvision:squeezenet1_1", "non_linearities": 1, "dropout": 0.2},
        timm={
            "balance": "class_weights",
            "optimiser": "adamw",
            "weight_decay": 0.01,
            "decay_on": "weights",
            "lr": 0.01,
        },
        fitted={"head": "logistic", "penalty": 0.01},
    )


@pytest.fixture(scope="session")
def moving(tmp_path_factory: pytest.TempPathFactory) -> FinishedStudy:
    """Batch norm that learned its statistics: in the head alone, and in the backbone too."""
    widths = {"head": "widths", "widths": (24, 8), "dropout": 0.25, "lr": 0.05}
    return finished_study(
        tmp_path_factory.mktemp("moving"),
        ("few", "many"),
        head=widths,
        both={**widths, "unfrozen": 2, "norms": "moving", "lr": 0.02},
        gated={**widths, "input_norm": True, "excitation": "after_pooling", "reduction": 8, "activation": "gelu"},
    )


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> FinishedStudy:
    """Networks that no library has under a name: declared here and trained from nothing, cut off, pooled otherwise."""
    drawn = {"start": "drawn", "norms": "moving", "lr": 0.1}
    return finished_study(
        tmp_path_factory.mktemp("built"),
        ("few", "many"),
        chopped={"ends_at": "layer3", "joined": 2, "lr": 0.02},
        pooled={"backbone": "timm:test_vit.r160_in1k", "pooling": "both", "joined": 2, "unfrozen": 1},
        own={"backbone": whole_own_name("own:lenet5"), "unfrozen": 4, **drawn},
    )


@pytest.fixture(scope="session")
def adapters(tmp_path_factory: pytest.TempPathFactory) -> FinishedStudy:
    """Networks with small trained parts put into every layer, or into attention; whole ones; one trained in bf16."""
    return finished_study(
        tmp_path_factory.mktemp("adapters"),
        ("few", "many"),
        scaled={"adaptation": "scale_and_shift", "lr": 0.005},
        low_rank={
            "backbone": "timm:test_vit.r160_in1k",
            "adaptation": "lora",
            "rank": 2,
            "adaptation.alpha": 8.0,
            "lr": 0.02,
        },
        scratch={"adaptation": "whole", "start": "drawn", "norms": "moving", "lr": 0.01},
        rounded={"adaptation": "whole", "arithmetic": "bf16", "lr": 0.005},
    )
