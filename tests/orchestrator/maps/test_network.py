"""The repeats as they are explained are those that the search scored."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain

import pytest
import torch

from orchestrator.evaluation.calibration import probabilities
from tests.orchestrator.maps.conftest import Opened
from tests.support.finished_study import EPOCHS, FinishedStudy


@pytest.mark.parametrize("name", ["plain", "hidden", "deep", "vit", "lora", "whole"])
def test_probabilities_are_those_that_were_kept(study: FinishedStudy, opened: Callable[..., Opened], name: str) -> None:
    """Of the valid images at each repeat's selected epoch; they were kept in half precision."""
    found = opened(name, count=5)
    chances = found.repeats.chances(found.images)
    assert chances.shape == (2, 5, 3)
    for repeat, record in study.tiny.finals(study.configurations[name], EPOCHS).items():
        kept = torch.from_numpy(probabilities(record.logits[:5]))
        torch.testing.assert_close(chances[repeat], kept, rtol=0, atol=0.005)


@pytest.mark.parametrize("name", ["plain", "deep", "vit", "lora", "whole"])
def test_taken_apart_at_the_layer_a_network_computes_the_same(opened: Callable[..., Opened], name: str) -> None:
    repeats, images = opened(name).repeats, opened(name).images
    seen = []
    for several in chain(repeats.turns(), repeats.turns()):
        with torch.no_grad():
            whole, apart = repeats.backbone(images), repeats.features(repeats.values(images))
        torch.testing.assert_close(apart, whole, rtol=1e-4, atol=1e-5)
        seen.append((several[0], whole))
    differ = [not torch.equal(one, other) for (a, one) in seen for (b, other) in seen if a < b]
    assert all(differ)
    assert bool(differ) == repeats.trains_body
