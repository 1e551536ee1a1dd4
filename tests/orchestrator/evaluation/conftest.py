"""A study that every test evaluates from before its first look."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest

from orchestrator.results.summary import summarise
from orchestrator.study.studies import open_study
from tests.support.evaluated_study import Desk
from tests.support.tiny_study import TinyStudy
from tests.support.trained_study import NAME, make_trained_study


@pytest.fixture(scope="session")
def trained_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("trained")

    def with_site(manifest: pd.DataFrame, _: pd.Series[str]) -> pd.DataFrame:
        return manifest.assign(user_site=["north" if n % 3 else "south" for n in range(len(manifest))])

    make_trained_study(root, ("few", "many", "some"), change=with_site)
    return root


@pytest.fixture
def desk(trained_once: Path, tmp_path: Path) -> Desk:
    """A copy to evaluate, so that every test begins before the first look."""
    folder = tmp_path / "studies"
    shutil.copytree(trained_once / "studies", folder)
    study = open_study(folder, NAME)
    made = trained_once / "made"
    tiny = TinyStudy(
        folder / NAME,
        made / "images",
        made / "cache",
        study.record.classes,
        study.record.partition,
        study.record.data_fingerprint,
    )
    ids = [entry.configuration for entry in summarise(study.storage).configurations]
    return Desk(study, tiny, ids)
