"""A study that begins empty for each test, on images whose features are computed once for all of a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.tiny_study import TinyStudy, another, make_tiny_study


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> TinyStudy:
    return make_tiny_study(tmp_path_factory.mktemp("images"))


@pytest.fixture
def study(images: TinyStudy, tmp_path: Path) -> TinyStudy:
    return another(images, tmp_path)
