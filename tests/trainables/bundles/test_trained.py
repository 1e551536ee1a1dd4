"""Weights at the selected epoch: the same model bit for bit, whether kept or trained again."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from orchestrator.store.errors import InputError
from orchestrator.store.schema import FinalRecord
from orchestrator.store.segments import Segment
from tests.support.tiny_study import TinyStudy, make_tiny_study
from trainables.bundles import kept_weights
from trainables.bundles.trained import keep_trained, open_group, results, trained
from trainables.learning.group import Group

THREE = ("few", "many", "some")
SETTINGS = [
    pytest.param({}, id="head, stacked"),
    pytest.param({"non_linearities": 2, "dropout": 0.4}, id="deep head, dropout"),
    pytest.param({"unfrozen": 2, "lr": 0.01}, id="unfrozen, in turn"),
]


@pytest.fixture
def study(tmp_path: Path) -> TinyStudy:
    return make_tiny_study(tmp_path, THREE)


def head(weights: dict[str, np.ndarray], features: torch.Tensor, slope: float) -> torch.Tensor:
    places = sorted(int(name.split(".")[1]) for name in weights if re.fullmatch(r"head\.\d+\.bias", name))
    for place in places:
        weight, bias = (torch.from_numpy(weights[f"head.{place}.{part}"]) for part in ("weight", "bias"))
        features = features @ weight.T + bias
        if place != places[-1]:
            features = torch.nn.functional.leaky_relu(features, slope)
    return features


def valid_logits(study: TinyStudy, record: FinalRecord, weights: dict[str, np.ndarray]) -> np.ndarray:
    """Logits of the valid images by these weights alone, from the features that the repeat learned from."""
    bench = study.bench()
    configuration = bench.configuration(record.meta["configuration"])
    material = bench.material(configuration, study.partition, record.meta["recipe"]["frontier"])
    rows = torch.from_numpy(material.samples.scoring["valid"])
    if material.features is not None:
        features = material.features[rows]
    else:
        assert material.suffix is not None
        own = dict(material.suffix.named_parameters())
        with torch.no_grad():
            for name, value in weights.items():
                if name.startswith("body."):
                    own[name.removeprefix("body.")].copy_(torch.from_numpy(value))
            features = material.suffix(material.inputs.gather(rows))
    return head(weights, features, configuration.head.negative_slope).to(torch.float16).numpy()


@pytest.mark.parametrize("settings", SETTINGS)
def test_weights_trained_again_are_those_of_the_final_record(study: TinyStudy, settings: dict[str, float]) -> None:
    configuration = study.configuration(**settings)
    finals = study.train(configuration, (0, 1, 2), 4)
    assert len({finals[repeat].meta["selected_epoch"] for repeat in finals} | {0}) > 1, "nothing was learned"
    again = trained(study.bench(), study.partition, configuration.id, [2, 0])
    assert list(again) == [2, 0]
    for repeat, one in again.items():
        assert one.epoch == finals[repeat].meta["selected_epoch"]
        assert one.deviation == 0.0
        assert not one.was_kept
        np.testing.assert_allclose(
            valid_logits(study, finals[repeat], one.weights), finals[repeat].logits, rtol=2e-3, atol=2e-3
        )
    assert any(not np.array_equal(again[0].weights[name], again[2].weights[name]) for name in again[0].weights)


def test_a_repeat_asked_for_alone_has_the_same_weights(study: TinyStudy) -> None:
    configuration = study.configuration()
    study.train(configuration, (0, 1), 3)
    weights = trained(study.bench(), study.partition, configuration.id, [1])[1].weights
    both = trained(study.bench(), study.partition, configuration.id, [0, 1])
    assert set(weights) == {"head.0.weight", "head.0.bias"}
    assert weights["head.0.weight"].shape[0] == weights["head.0.bias"].shape[0] == 3
    for name, value in weights.items():
        assert np.array_equal(value, both[1].weights[name])


def test_an_earlier_epoch_gives_other_weights_than_the_last(study: TinyStudy) -> None:
    """A repeat whose selected epoch is not its last: weights of the last one would not fit its logits."""
    configuration = study.configuration(lr=0.02, momentum=0.9)
    finals = study.train(configuration, (0, 1, 2, 3, 4), 8)
    early = [r for r, record in finals.items() if 0 < record.meta["selected_epoch"] < 8]
    assert early, "choose settings that overfit"
    again = trained(study.bench(), study.partition, configuration.id, early)
    assert all(one.deviation == 0.0 for one in again.values())


def test_a_diverged_repeat_is_its_untrained_self(study: TinyStudy) -> None:
    configuration = study.configuration(lr=1e30, non_linearities=1)
    study.train(configuration, (0,), 3)
    record = results(study.storage, study.partition, configuration.id, [0])[0]
    assert record.meta["state"] == "diverged"
    again = trained(study.bench(), study.partition, configuration.id, [0])[0]
    assert again.epoch == 0
    assert again.deviation == 0.0


def test_kept_weights_are_read_and_not_trained_again(study: TinyStudy, monkeypatch: pytest.MonkeyPatch) -> None:
    configuration = study.configuration()
    study.train(configuration, (0, 1), 3)
    bench = study.bench()
    before = trained(bench, study.partition, configuration.id, [0, 1])
    keep_trained(bench, study.partition, configuration.id, before.values(), 3)
    monkeypatch.setattr("trainables.bundles.trained.open_group", lambda *_: pytest.fail("was trained again"))
    after = trained(bench, study.partition, configuration.id, [0, 1])
    for repeat in (0, 1):
        assert after[repeat].was_kept
        assert after[repeat].deviation == 0.0
        for name, value in before[repeat].weights.items():
            assert np.array_equal(after[repeat].weights[name], value)


def test_damaged_kept_weights_are_trained_again(study: TinyStudy) -> None:
    configuration = study.configuration()
    study.train(configuration, (0,), 3)
    bench = study.bench()
    keep_trained(
        bench, study.partition, configuration.id, trained(bench, study.partition, configuration.id, [0]).values(), 3
    )
    (kept,) = kept_weights.in_bundle(study.storage, study.key(configuration))
    place = study.storage.local(kept.path)
    content = bytearray(place.read_bytes())
    content[-1] ^= 1
    place.write_bytes(content)
    assert not trained(bench, study.partition, configuration.id, [0])[0].was_kept
    assert kept_weights.in_bundle(study.storage, study.key(configuration)) == []


def test_weights_of_more_epochs_are_not_those_of_fewer(study: TinyStudy) -> None:
    configuration = study.configuration()
    study.train(configuration, (0, 1), 2)
    study.train(configuration, (0, 1), 5)
    study.train(configuration, (2,), 2)
    everything = results(study.storage, study.partition, configuration.id, [0, 1, 2])
    assert [record.meta["epochs"] for record in everything.values()] == [2, 2, 2]
    assert results(study.storage, study.partition, configuration.id, [0])[0].meta["epochs"] == 5
    long = trained(study.bench(), study.partition, configuration.id, [0], epochs=5)[0]
    assert long.deviation == 0.0


def test_a_record_on_the_way_that_is_gone_is_named(study: TinyStudy) -> None:
    configuration = study.configuration(lr=0.4, momentum=0.9)
    study.train(configuration, (1,), 4)
    selected = study.train(configuration, (1,), 6)[1].meta["selected_epoch"]
    assert selected < 4, "choose settings that overfit at once"
    study.storage.delete(study.key(configuration).final(1, 4))
    with pytest.raises(InputError, match="expected the result with 4 epochs of repeat 1, from which it went on"):
        trained(study.bench(), study.partition, configuration.id, [1])


def test_a_repeat_without_a_result_is_named(study: TinyStudy) -> None:
    configuration = study.configuration()
    study.train(configuration, (0,), 2)
    with pytest.raises(InputError, match=r"repeats 0, 1, 2, found none of 1, 2"):
        trained(study.bench(), study.partition, configuration.id, [0, 1, 2])
    with pytest.raises(InputError, match="with 7 epochs"):
        results(study.storage, study.partition, configuration.id, [0], epochs=7)


def test_configurations_that_were_stacked_are_trained_again_as_a_stack(
    study: TinyStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    configurations = [study.configuration(lr=lr) for lr in (0.01, 0.1, 0.4)]
    study.train_segment(Segment(study.partition, tuple(c.id for c in configurations), (0, 1, 2), 0, 4))
    lanes: list[int] = []

    def counted(*arguments: Any) -> Group:
        group = open_group(*arguments)
        lanes.append(len(group.lanes))
        return group

    monkeypatch.setattr("trainables.bundles.trained.open_group", counted)
    for configuration in configurations:
        again = trained(study.bench(), study.partition, configuration.id, [0, 2])
        finals = study.finals(configuration, 4)
        for repeat, one in again.items():
            assert one.deviation == 0.0
            np.testing.assert_allclose(
                valid_logits(study, finals[repeat], one.weights), finals[repeat].logits, rtol=2e-3, atol=2e-3
            )
    assert lanes == [9, 9, 9]
