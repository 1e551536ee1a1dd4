"""Mean, deviation and agreement over repeats."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import spearmanr

from orchestrator.maps.explained import Explained, mean_of
from orchestrator.maps.images import Image
from orchestrator.maps.ranks import scaled, spearman
from orchestrator.maps.report import as_data, as_lines

IMAGE = Image(0, ("worst",), "s/1.png", "image 7", "g1", "a", "b", 0.3, 0.1, "b")


def explained(maps: np.ndarray) -> Explained:
    images = tuple(replace(IMAGE, row=row) for row in range(maps.shape[1]))
    return Explained(
        study="slides",
        partition="p0",
        configuration="abc",
        name="resnet18",
        chosen="best",
        method="Grad-CAM",
        layer="layer4",
        split="valid",
        explains="predicted",
        repeats=tuple(range(len(maps))),
        images=images,
        maps=maps,
    )


@pytest.fixture
def maps() -> np.ndarray:
    return scaled(np.random.default_rng(3).random((4, 3, 5, 5), dtype=np.float32))


def test_scaled_by_the_largest_place() -> None:
    raw = np.array([[[0, 2], [1, 4]], [[0, 0], [0, 0]]], dtype=np.float32)
    assert scaled(raw).tolist() == [[[0, 0.5], [0.25, 1]], [[0, 0], [0, 0]]]


def test_mean_and_deviation_over_repeats(maps: np.ndarray) -> None:
    found = explained(maps)
    places = [maps[repeat, 1, 2, 3] for repeat in range(4)]
    assert found.mean[1, 2, 3] == pytest.approx(sum(places) / 4)
    assert found.deviation is not None
    assert found.deviation[1, 2, 3] == pytest.approx(float(np.std(places, ddof=1)), rel=1e-5)
    assert explained(maps[:1]).deviation is None


def test_agreement_is_the_mean_of_every_two_repeats(maps: np.ndarray) -> None:
    pairs = [
        spearmanr(maps[one, 2].ravel(), maps[other, 2].ravel()).statistic for one in range(4) for other in range(one)
    ]
    assert explained(maps).agreement[2] == pytest.approx(np.mean(pairs))
    maps[1:, 2] = 0
    assert explained(maps).agreement[2] is None
    assert explained(maps[:1]).agreement == (None, None, None)


def test_spearman_with_equals(maps: np.ndarray) -> None:
    one, other = np.round(maps[0, 0], 1), np.round(maps[1, 0], 1)
    assert spearman(one, other) == pytest.approx(spearmanr(one.ravel(), other.ravel()).statistic)
    assert spearman(one, np.ones_like(one)) is None
    assert mean_of([0.5, None, 1.0]) == 0.75
    assert mean_of([None]) is None


def test_names_are_hidden(maps: np.ndarray) -> None:
    found = explained(maps)
    for text in (str(as_data(found)), "\n".join(as_lines(found))):
        assert "s/1.png" not in text
        assert "g1" not in text
        assert "image 7" in text
    data = as_data(found, with_names=True)
    assert data["images"][0]["file"] == "s/1.png"  # type: ignore[index]
    assert data["agreement"] == pytest.approx(np.mean([one for one in found.agreement if one is not None]))
    assert "s/1.png" in "\n".join(as_lines(found, with_names=True))
