"""Grad-CAM and Grad-CAM++ against the chain rule by hand, finite differences and loops."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from orchestrator.maps.methods.gradcam import maps
from orchestrator.maps.methods.gradcam_plus import maps as maps_plus
from tests.orchestrator.maps.conftest import Opened

Open = Callable[..., Opened]


def last_maps(found: Opened, repeat: int) -> np.ndarray:
    """Of the test network: what timm pools, float32 [N, C, 3, 3]."""
    with torch.no_grad():
        values = found.backbone(repeat).forward_features(found.images)
    return values.numpy()


@pytest.mark.parametrize("name", ["plain", "deep"])
def test_a_linear_head_weighs_channels_by_its_own_weights(opened: Open, name: str) -> None:
    """Features are the mean over places, so that the gradient at each place is the head's weight / places."""
    found = opened(name)
    maps_here = maps(found.repeats, found.images, found.targets).numpy()
    assert maps_here.shape == (2, 5, 3, 3)
    for repeat in range(2):
        values = last_maps(found, repeat)
        weight = found.repeats.heads[repeat][0].weight.numpy()[found.targets.numpy()]
        expected = np.maximum(np.einsum("nchw,nc->nhw", values.astype(np.float64), weight) / 9, 0)
        np.testing.assert_allclose(maps_here[repeat], expected, rtol=1e-4, atol=1e-6)
    assert (maps_here > 0).any()
    assert np.abs(maps_here[0] - maps_here[1]).max() > 1e-4


def test_hidden_layers_by_finite_differences(opened: Open) -> None:
    """The sum of the gradient over places is how fast the score rises when the whole channel does."""
    found = opened("hidden")
    maps_here = maps(found.repeats, found.images, found.targets).numpy()
    values = torch.from_numpy(last_maps(found, 0)).double()
    head = found.repeats.heads[0].double()
    step, slopes = 1e-6, []
    for channel in range(values.shape[1]):
        up, down = values.clone(), values.clone()
        up[:, channel] += step
        down[:, channel] -= step
        scores = [found.score(0, each.mean(dim=(2, 3))) for each in (up, down)]
        slopes.append((scores[0] - scores[1]) / (2 * step))
    expected = torch.einsum("nchw,cn->nhw", values, torch.stack(slopes) / 9).relu().numpy()
    head.float()
    np.testing.assert_allclose(maps_here[0], expected, rtol=1e-3, atol=1e-6)


def test_places_of_a_channel_weighed_apart(opened: Open) -> None:
    """As the paper's formula reads, place by place."""
    found = opened("plain")
    maps_here = maps_plus(found.repeats, found.images, found.targets).numpy()
    values = last_maps(found, 1).astype(np.float64)
    weight = found.repeats.heads[1][0].weight.numpy().astype(np.float64)
    for image, target in enumerate(found.targets.tolist()):
        expected = np.zeros((3, 3))
        for channel, activation in enumerate(values[image]):
            g = weight[target, channel] / 9
            alpha = g**2 / (2 * g**2 + activation.sum() * g**3)
            expected += 9 * alpha * max(g, 0) * activation
        np.testing.assert_allclose(maps_here[1, image], np.maximum(expected, 0), rtol=1e-3, atol=1e-5)


def test_a_single_output_speaks_for_both_classes(opened: Open) -> None:
    """Its logit is the second class's; minus it is the first one's."""
    found = opened("plain").repeats
    features = torch.randn(4, found.several[0]["head.0.weight"].shape[1], generator=torch.Generator().manual_seed(0))
    found.heads[0] = torch.nn.Sequential(torch.nn.Linear(features.shape[1], 1))  # type: ignore[assignment]
    logits = found.heads[0](features)[:, 0]
    scores = found.score(0, features, torch.tensor([0, 1, 0, 1]))
    assert torch.equal(scores, logits * torch.tensor([-1.0, 1.0, -1.0, 1.0]))


def test_the_frozen_backbone_is_passed_once_for_all_repeats(opened: Open) -> None:
    for name, passes in (("plain", 1), ("deep", 2)):
        found, calls = opened(name), []
        found.repeats.layer.before.register_forward_hook(lambda *_given, calls=calls: calls.append(1))
        first = maps(found.repeats, found.images, found.targets)
        assert len(calls) == passes
        assert torch.equal(first, maps(found.repeats, found.images, found.targets))
