"""A browser, and the page of a small study."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from generated_study import NOW, small_study
from opened_page import CHROMIUM, FLAGS

from dashboards.page import render
from orchestrator.summary import summarise


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    folder = tmp_path_factory.mktemp("study")
    storage, _ = small_study(folder, backbones=("timm:one", "timm:two"))
    path = folder / "dashboard.html"
    path.write_text(render(storage, now=NOW), encoding="utf-8")
    return path, summarise(storage, NOW)
