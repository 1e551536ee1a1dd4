"""A study that every test evaluates from before its first look."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from orchestrator.results.summary import summarise
from tests.support.evaluated_study import EvaluatedStudy
from tests.support.trained_study import copy_trained_study, make_trained_study


@pytest.fixture(scope="session")
def trained_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("trained")

    def with_site(manifest: pd.DataFrame, _: pd.Series[str]) -> pd.DataFrame:
        return manifest.assign(user_site=["north" if n % 3 else "south" for n in range(len(manifest))])

    make_trained_study(root, ("few", "many", "some"), change=with_site)
    return root


@pytest.fixture
def evaluated(trained_once: Path, tmp_path: Path) -> EvaluatedStudy:
    """A copy to evaluate, so that every test begins before the first look."""
    study, tiny = copy_trained_study(trained_once, tmp_path)
    ids = [entry.configuration for entry in summarise(study.storage).configurations]
    return EvaluatedStudy(study, tiny, ids)
