"""A search with a budget for its cache makes room before it prepares anything, or says that it cannot; without Ray."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from orchestrator.command_line import main
from orchestrator.running.stages import FeatureStage, feature_options
from orchestrator.store.errors import InputError
from orchestrator.store.layout import ConfigurationKey
from orchestrator.store.place import Place
from tests.support.tiny_study import TinyStudy, make_tiny_study
from trainables.features.cache_use import MARK, CacheUse

MB = 1_000_000


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> TinyStudy:
    return make_tiny_study(tmp_path_factory.mktemp("budget"))


@pytest.fixture
def study(images: TinyStudy, tmp_path: Path) -> TinyStudy:
    """With a cache of its own."""
    partition, content = images.partition, images.fingerprint
    return TinyStudy(images.folder, images.data, tmp_path / "cache", images.classes, partition, content)


def stage(study: TinyStudy, most: float | None, *wanted: dict[str, Any]) -> FeatureStage:
    use = CacheUse(study.cache, most)
    found = FeatureStage(Place.of(study.folder), study.bench(), lambda: 1, feature_options(0), use)
    found.add(ConfigurationKey(study.partition, study.configuration(**settings).id) for settings in wanted)
    return found


def stale(study: TinyStudy) -> Path:
    folder = study.cache / "features" / "stale"
    folder.mkdir(parents=True)
    (folder / "frontier0.bin").write_bytes(os.urandom(MB))
    (folder / MARK).touch()
    os.utime(folder / MARK, (1, 1))
    return folder


def test_what_cannot_fit_is_refused_before_anything_is_prepared(study: TinyStudy) -> None:
    folder = stale(study)
    with pytest.raises(InputError, match=r"may hold 0\.05 MB, this search needs \d\.\d\d MB\n"):
        stage(study, 50_000, {}, {"unfrozen": 1}).reserve()
    assert folder.exists()
    assert list(study.cache.glob("features/*/arrays.json")) == []


def test_what_is_needed_has_one_size_whether_it_is_there_or_not(study: TinyStudy) -> None:
    settings: tuple[dict[str, Any], ...] = ({}, {"unfrozen": 1}, {"lr": 0.5})
    before = stage(study, 1e9, *settings)
    before.reserve()
    before.use.release()
    bench = study.bench()
    for given in settings:
        bench.material(study.configuration(**given), study.partition)
    after = stage(study, 1e9, *settings)
    after.reserve()
    assert sorted(after.use._needs.values()) == sorted(before.use._needs.values())
    assert len(after.use._needs) == 3, "squares and two depths, however many learning rates"
    kinds = sorted(folder.parent.name for folder in after.use._held)
    assert kinds == ["features", "features", "pixels"], "what is there is not deleted by others from now on"
    after.use.release()


def test_room_is_made_at_the_expense_of_what_nobody_needs(study: TinyStudy) -> None:
    study.bench().material(study.configuration(), study.partition)
    mine = {path.name for path in study.cache.glob("features/*")}
    folder = stale(study)
    for most, stays in ((None, True), (100 * MB, True), (MB, False)):
        found = stage(study, most, {})
        found.reserve()
        found.use.release()
        assert folder.exists() is stays
    assert {path.name for path in study.cache.glob("features/*")} == mine


@pytest.mark.parametrize("size", ["0", "-3", "much"])
def test_a_budget_of_nothing_is_refused(size: str) -> None:
    result = CliRunner().invoke(main, ["resume", "slides", "--cache-gb", size])
    assert result.exit_code == 2
    assert "--cache-gb" in result.output
