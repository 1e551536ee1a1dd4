"""A browser, the page of a small study, and the figures of one with every state of a repeat."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dashboards.figures.choice import Source
from dashboards.figures.registry import open_source
from dashboards.page.page import render
from orchestrator.results.summary import Summary, summarise
from tests.support.configurations import shown
from tests.support.generated_study import NOW, segment_of, small_study, write_failure, write_lease
from tests.support.opened_page import CHROMIUM, FLAGS


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    folder = tmp_path_factory.mktemp("study")
    storage, _ = small_study(folder, backbones=("timm:one", "timm:two"))
    path = folder / "dashboard.html"
    path.write_text(render(storage, now=NOW), encoding="utf-8")
    return path, summarise(storage, NOW)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Source:
    storage, study = small_study(
        tmp_path_factory.mktemp("study"),
        depths=((0, 0), (1, 0), (2, 0), (0, 2)),
        lrs=(1e-3, 1e-2),
        batch_sizes=(16, 32),
        skip=lambda c, repeat: (
            shown(c, "unfrozen", "lr") == (2, 1e-2) and (repeat == 2 or c.optimiser.batch_size == 32)
        ),
        diverges=lambda c, repeat: shown(c, "non_linearities", "lr", "batch_size") == (2, 1e-2, 16) and repeat == 0,
        in_turn=True,
    )
    owed = [c for c in study.configurations() if shown(c, "unfrozen", "lr") == (2, 1e-2)]
    write_lease(storage, segment_of(storage, owed[0], 2), 3, NOW)
    write_failure(storage, segment_of(storage, owed[1], 0), "ValueError: no")
    return open_source(storage, NOW)


@pytest.fixture(scope="module")
def summary(source: Source) -> Summary:
    return source.summary
