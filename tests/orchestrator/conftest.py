"""A user's folder, and a search that must not begin to train."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.desk import Desk, write_images
from tests.support.facts_once import facts_once


@pytest.fixture(scope="session", autouse=True)
def _facts_once() -> Iterator[None]:
    with facts_once():
        yield


@pytest.fixture
def no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that should have been refused fails its test at once instead of starting a cluster."""

    def started(*_: object) -> int:
        raise AssertionError("the search went on to train")

    monkeypatch.setattr("orchestrator.train.run", started)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    made = Desk(tmp_path)
    write_images(made.data)
    return made
