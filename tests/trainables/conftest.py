"""A tiny study for tests of how it is trained."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.facts_once import facts_once
from tests.support.tiny_study import TinyStudy, another, make_tiny_study


@pytest.fixture(scope="session", autouse=True)
def _facts_once() -> Iterator[None]:
    with facts_once():
        yield


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> TinyStudy:
    return make_tiny_study(tmp_path_factory.mktemp("images"))


@pytest.fixture
def study(images: TinyStudy, tmp_path: Path) -> TinyStudy:
    """A study of its own on the same images, with the features already there."""
    return another(images, tmp_path)


@pytest.fixture(scope="module")
def harder_images(tmp_path_factory: pytest.TempPathFactory) -> TinyStudy:
    return make_tiny_study(tmp_path_factory.mktemp("harder"), ("few", "many", "some"))


@pytest.fixture
def harder(harder_images: TinyStudy, tmp_path: Path) -> TinyStudy:
    """A study of three classes, in which repeats get worse again after a few epochs."""
    return another(harder_images, tmp_path)
