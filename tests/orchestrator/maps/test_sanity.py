"""Random networks and deletion curves."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from scipy.stats import t as student

from orchestrator.maps.methods.gradcam import maps
from orchestrator.maps.ranks import scaled
from orchestrator.maps.sanity import (
    Mean,
    areas,
    as_random_network,
    correlations,
    deletion_curves,
    random_order,
    with_random_head,
)
from tests.orchestrator.maps.conftest import Opened, backbone_of
from tests.orchestrator.maps.test_maps_command import orch
from tests.support.finished_study import FinishedStudy

Open = Callable[..., Opened]


@pytest.mark.parametrize("name", ["hidden", "deep"])
def test_a_random_head_keeps_the_backbone(opened: Open, name: str) -> None:
    """The values of each matrix are there in another order; biases and what of the backbone was trained stay."""
    found = opened(name)
    other = with_random_head(found.repeats, 5)
    for ours, theirs in zip(found.repeats.several, other.several, strict=True):
        assert ours.keys() == theirs.keys()
        for key, value in ours.items():
            is_shuffled = key.startswith("head.") and value.ndim > 1
            assert np.array_equal(value, theirs[key]) != is_shuffled
            assert np.array_equal(np.sort(value, axis=None), np.sort(theirs[key], axis=None))
    for repeat in range(2):
        one, two = (backbone_of(each, repeat)(found.images) for each in (found.repeats, other))
        torch.testing.assert_close(one, two)
    again = with_random_head(found.repeats, 5)
    for ours, theirs in zip(other.several, again.several, strict=True):
        assert all(np.array_equal(ours[key], theirs[key]) for key in ours)


def test_a_random_network_has_other_weights_and_one_backbone(opened: Open) -> None:
    found = opened("deep")
    other = as_random_network(found.repeats, 5, [found.images])
    assert list(other.turns()) == [[0, 1]]
    ours, theirs = (dict(each.backbone.named_parameters()) for each in (found.repeats, other))
    assert ours.keys() == theirs.keys()
    matrices = [name for name, value in ours.items() if value.dim() > 1]
    assert matrices
    assert not any(torch.equal(ours[name], theirs[name]) for name in matrices)
    made = maps(other, found.images, found.targets)
    assert made.shape == (2, 5, 3, 3)
    assert torch.equal(made, maps(as_random_network(found.repeats, 5, [found.images]), found.images, found.targets))
    assert not torch.equal(made, maps(as_random_network(found.repeats, 6, [found.images]), found.images, found.targets))


def test_correlations_are_of_each_image_and_repeat() -> None:
    draw = np.random.default_rng(0)
    one, two = scaled(draw.random((3, 4, 5, 5))), scaled(draw.random((3, 4, 5, 5)))
    expected = [
        np.mean([spearmanr(one[r, image].ravel(), two[r, image].ravel()).statistic for r in range(3)])
        for image in range(4)
    ]
    assert correlations(one, two) == pytest.approx(expected)
    two[:, 2] = 0
    assert correlations(one, two)[2] is None
    two[0, 1] = 1
    assert correlations(one, two)[1] == pytest.approx(
        np.mean([spearmanr(one[r, 1].ravel(), two[r, 1].ravel()).statistic for r in (1, 2)])
    )


def test_an_interval_holds_groups_together() -> None:
    """Of groups of one image it is Student's; copies of an image in its group change nothing of it."""
    values = [0.1, 0.5, 0.3, 0.9, 0.4, 0.6]
    groups = list("abcdef")
    found = Mean.over(values, groups)
    half = student.ppf(0.975, 5) * np.std(values, ddof=1) / np.sqrt(6)
    assert (found.low, found.high) == pytest.approx((np.mean(values) - half, np.mean(values) + half))
    copied = Mean.over(values * 3, groups * 3)
    assert (copied.low, copied.high) == pytest.approx((found.low, found.high))
    few = Mean.over(values, list("aabbcc"))
    assert (few.value, few.low, few.high) == (pytest.approx(np.mean(values)), None, None)
    assert Mean.over([None, 0.5], ["a", "b"]).value == 0.5
    assert Mean.over([None], ["a"]).value is None


class _Seeing:
    """Its probability of class 0 is the share of pixels that are as they were."""

    def __init__(self, images: torch.Tensor) -> None:
        self.images = images
        self.shares: list[torch.Tensor] = []

    def chances(self, shown: torch.Tensor) -> torch.Tensor:
        weights = torch.zeros_like(self.images[:, 0])
        weights[:, :4] = 1 / 32
        kept = ((shown == self.images).all(dim=1) * weights).sum(dim=(1, 2)).double()
        return torch.stack([kept, 1 - kept], dim=1)[None]


def test_a_curve_falls_fast_where_the_map_is_right() -> None:
    """All that counts are the upper half's pixels: blurred first the area is 1/4, last 3/4, by hand."""
    images = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    order = np.zeros((2, 2, 2))
    order[:, 0] = 1
    seeing = _Seeing(images)
    targets = torch.zeros(2, dtype=torch.int64)
    right = areas(deletion_curves(seeing, images, targets, order, steps=4))  # type: ignore[arg-type]
    wrong = areas(deletion_curves(seeing, images, targets, -order, steps=4))  # type: ignore[arg-type]
    assert right == pytest.approx([0.25, 0.25])
    assert wrong == pytest.approx([0.75, 0.75])
    other = areas(deletion_curves(seeing, images, targets + 1, order, steps=4))  # type: ignore[arg-type]
    assert other == pytest.approx([0.75, 0.75])


def test_a_random_order_follows_from_the_pixels() -> None:
    shape = np.zeros((2, 3, 3))
    one = random_order(shape, 5, ["x", "y"])
    assert sorted(one[0].ravel().tolist()) == list(range(9))
    assert np.array_equal(one[1], random_order(shape[:1], 5, ["y"])[0])
    assert not np.array_equal(one[0], one[1])
    assert not np.array_equal(one, random_order(shape, 6, ["x", "y"]))


def test_the_command_says_what_the_checks_found(study: FinishedStudy) -> None:
    run = orch(study, "--images", "random", "--count", "10", "--sanity", "--json")
    assert run.exit_code == 0, run.output
    found = json.loads(run.stdout)["maps"][0]["sanity"]
    assert len(found["random_network"]["values"]) == 10
    assert -1 <= found["random_head"]["value"] <= 1
    assert found["gained"]["value"] == pytest.approx(found["at_random"]["value"] - found["deleted"]["value"])
    text = orch(study, "--images", "random", "--count", "10", "--sanity").stdout
    assert "Correlation with maps of the same network with random heads" in text
    headless = orch(study, "--images", "worst", "--count", "3", "--sanity", "--method", "activations")
    assert "Correlation with maps of a random network" in headless.stdout
