"""What one pass over the images serves: all that agree in what is frozen, at any depth; without Ray."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.running.stages import FeatureStage, feature_options
from orchestrator.store.errors import OrchError
from orchestrator.store.layout import ConfigurationKey
from orchestrator.store.place import Place
from tests.support.tiny_study import TinyStudy, make_tiny_study
from trainables.bundles.workbench import Workbench
from trainables.features.cache_use import CacheUse
from trainables.features.shards import Part
from trainables.machine.places import Places


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> TinyStudy:
    return make_tiny_study(tmp_path_factory.mktemp("stages"))


@pytest.fixture
def stage(study: TinyStudy) -> Iterator[FeatureStage]:
    made = stage_of(study)
    yield made
    made.use.release()


def stage_of(study: TinyStudy) -> FeatureStage:
    return FeatureStage(
        Place.of(study.folder), study.bench(), lambda: 1, feature_options(0), CacheUse(study.cache, None)
    )


def depths(stage: FeatureStage) -> list[list[int]]:
    """Those that each pass serves."""
    return [sorted(depth.unfrozen for depth in one.depths) for one in stage._passes]


def passes(study: TinyStudy, *wanted: dict[str, Any], partitions: tuple[str, ...] = ("p",)) -> list[list[int]]:
    """The depths that each serves."""
    stage = stage_of(study)
    ids = [study.configuration(**settings).id for settings in wanted]
    stage.add(ConfigurationKey(partition, name) for partition in partitions for name in ids)
    return depths(stage)


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


def test_what_comes_once_a_pass_has_begun_has_the_next_one(study: TinyStudy, stage: FeatureStage) -> None:
    def key(**settings: Any) -> ConfigurationKey:
        return ConfigurationKey(study.partition, study.configuration(**settings).id)

    study.bench().material(study.configuration(), study.partition)  # so that no task is needed
    first, same, late, later = key(), key(lr=0.5), key(unfrozen=1), key(unfrozen=3)
    stage.add([first, first])
    assert depths(stage) == [[0]]
    assert not stage.is_ready(first)
    stage.poll()
    assert stage.is_ready(first)
    stage.add([late])
    stage.add([same, later, first])
    assert depths(stage) == [[0], [1, 3]]
    assert stage.is_ready(same), "it needs what is there"
    assert not stage.is_ready(late)
    assert stage.error(late) is None
    assert stage.layer(same) == stage.layer(first)


def test_an_error_ends_its_own_pass_only(
    study: TinyStudy, stage: FeatureStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, late = (ConfigurationKey(study.partition, study.configuration(unfrozen=depth).id) for depth in (0, 2))
    study.bench().material(study.configuration(), study.partition)
    stage.add([first])
    stage.poll()
    stage.add([late])
    error = OrchError("the image a.png changed", "Put it back.")

    def broken(*_: Any) -> Any:
        raise error

    monkeypatch.setattr(stage.bench, "pixels", broken)
    stage.poll()
    assert stage.error(late) is error
    assert stage.error(first) is None
    assert stage.is_ready(first)
    again = ConfigurationKey(study.partition, study.configuration(unfrozen=2, lr=0.7).id)
    stage.add([again])
    assert stage.error(again) is error, "what needs the same cannot be had either"


class Tasks:
    """In place of Ray's: what is asked is done at once, and finished when somebody looks the next time but one."""

    def __init__(self, bench: Workbench) -> None:
        self.bench = bench
        self.rows: list[int] = []
        """Of each part that was asked for."""

    def remote(self, study: str, places: Places, wanted: list[tuple[str, str]], partition: str, part: Part) -> object:
        frozen = [self.bench.frozen(self.bench.configuration(name), partition, layer) for name, layer in wanted]
        self.bench.compute(frozen, part)
        self.rows.append(part.rows)
        return object()


@pytest.mark.parametrize("devices", [1, 3])
def test_partitions_share_the_rows_that_one_of_them_computes(
    study: TinyStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, devices: int
) -> None:
    """The second pass waits for the rows of the first one, whatever is free, and adds what that lacks."""
    study = dataclasses.replace(study, cache=tmp_path / "cache")
    fixed: dict[str, Any] = {"backbone": "timm:test_vit.r160_in1k", "standardisation": "half", "views": 2}
    turn = {"train": "valid", "valid": "train"}
    turned = study.add_partition({g: turn.get(s, s) if g.endswith("-0") else s for g, s in study.groups().items()})
    bench = study.bench()
    several = [study.configuration(**fixed, unfrozen=depth) for depth in (0, 1)]
    samples = [bench.samples(several[0], partition) for partition in (study.partition, turned)]
    bench.frozen_ready(several[0], study.partition)  # squares
    tasks = Tasks(study.bench())
    monkeypatch.setattr("trainables.features.store.CPU_CHUNK", 16)
    monkeypatch.setattr("orchestrator.running.stages.ray.wait", lambda those, **_: (those[:1], those[1:]))
    monkeypatch.setattr("orchestrator.running.stages.ray.get", lambda _: None)
    use = CacheUse(study.cache, 1e9)
    stage = FeatureStage(Place.of(study.folder), bench, lambda: devices, feature_options(0), use)
    monkeypatch.setattr(stage, "_features", tasks)
    keys = [ConfigurationKey(partition, c.id) for partition in (study.partition, turned) for c in several]
    stage.add(keys)
    stage.reserve()
    every = len({*samples[0].names, *samples[1].names})
    values = sum(sum(map(math.prod, bench.frozen(c, turned).shapes)) for c in several)
    squares = bench.pixels(several[0], turned).total_bytes
    assert sum(use._needs.values()) == squares + every * values * 4, "once, however many partitions share them"
    for _ in range(20):
        stage.poll()
        assert stage.is_ready(keys[0]) or not stage.is_ready(keys[2])
    assert all(stage.is_ready(key) for key in keys)
    assert sum(tasks.rows) == every, "both depths in one pass, each row once"
    assert len(set(samples[0].names)) < every
    assert sum(use._needs.values()) == squares + every * values * 4
    use.release()
