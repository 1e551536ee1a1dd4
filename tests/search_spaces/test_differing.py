"""What tells configurations apart: what a search varied, not what followed from that."""

from __future__ import annotations

from typing import Any

import pytest

from search_spaces.configuration import differing
from tests.support.configurations import configured

OWN: dict[str, Any] = {"standardisation": "weights", "std": (0.2,) * 3}


@pytest.mark.parametrize(
    ("settings", "paths"),
    [
        ([{}], []),
        ([{"lr": 0.1}, {"lr": 0.2}, {"lr": 0.1, "batch_size": 4}], ["optimiser.lr", "optimiser.batch_size"]),
        ([{}, {"non_linearities": 1, "dropout": 0.3}], ["head.non_linearities"]),
        (
            [{}, {"non_linearities": 1, "dropout": 0.3}, {"non_linearities": 1, "dropout": 0.2}],
            ["head.non_linearities", "head.dropout"],
        ),
        ([{}, {"optimiser": "adam"}, {"optimiser": "adamw"}], ["optimiser.name"]),
        (
            [{"mean": (0.4,) * 3, **OWN}, {"backbone": "timm:vit", "weights": "init:6", "mean": (0.5,) * 3, **OWN}],
            ["network.backbone"],
        ),
        ([{"weights": "init:5"}, {"weights": "init:6"}], ["network.weights"]),
        ([{"mean": (0.4,) * 3, **OWN}, {"mean": (0.5,) * 3, **OWN}], ["image.mean"]),
        ([{"study_seed": 1}, {"study_seed": 2}], []),
    ],
)
def test_settings_that_tell_apart(settings: list[dict[str, Any]], paths: list[str]) -> None:
    assert [one.path for one in differing(configured(**each) for each in settings)] == paths
