"""A user's folder, and a search that must not begin to train."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.desk import Desk, write_images


@pytest.fixture
def no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that should have been refused fails its test at once instead of starting a cluster."""

    def started(*_: object) -> int:
        raise AssertionError("the search went on to train")

    monkeypatch.setattr("orchestrator.search.run", started)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    made = Desk(tmp_path)
    write_images(made.data)
    return made
