"""A study of 12,500 repeats and 937,500 rows of epochs: the size and memory of its page, and how little of it is drawn.

How long it takes is measured by `benchmarks/page.py`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.checkout import ROOT
from tests.support.opened_page import CHROMIUM, Opened
from tests.support.reference_study import NAME, write_reference_study

WRITE = """
import json, resource, sys
from orchestrator.command_line import main
study, folder, path = sys.argv[1:]
main(["dashboard", study, "--studies", folder, "--output", path], standalone_mode=False)
print(json.dumps(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024))
"""
DRAWN = """() => [...document.querySelectorAll(".chart")].filter(chart => "drawn" in chart.dataset).map(chart => ({
  section: chart.closest("section").id,
  traces: chart.data.length,
  axes: Object.keys(chart._fullLayout).filter(name => /^[xy]axis\\d*$/.test(name)).length,
  nodes: chart.querySelectorAll("*").length,
}))"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.filterwarnings("default::DeprecationWarning"),
    pytest.mark.filterwarnings("default::ResourceWarning"),
]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    """The page, and the bytes of memory that writing it took."""
    folder = tmp_path_factory.mktemp("studies")
    assert write_reference_study(folder) == 12_500
    path = folder / "dashboard.html"
    run = subprocess.run(
        [sys.executable, "-c", WRITE, NAME, str(folder), str(path)],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    return path, json.loads(run.stdout.splitlines()[-1])


def test_written_within_memory_and_size(page: tuple[Path, int]) -> None:
    path, memory = page
    assert path.stat().st_size < 11e6
    assert memory < 0.7e9


@pytest.mark.skipif(not CHROMIUM.exists(), reason=f"needs {CHROMIUM}")
def test_little_of_it_is_drawn(browser: Any, page: tuple[Path, int]) -> None:
    opened = Opened(browser, page[0], viewport={"width": 1280, "height": 900})
    charts = opened.page.locator(".chart").count()
    at_first = opened.page.evaluate(DRAWN)
    assert charts > 150
    assert len(at_first) < 10
    opened.show("curves")
    opened.choose("curve", "loss_and_accuracy")
    (grid,) = [chart for chart in opened.page.evaluate(DRAWN) if chart["section"] == "curves" and chart["traces"] > 9]
    assert grid["traces"] == 25 * 2 * 3, "two lines and the dots of a panel, for each score"
    assert grid["axes"] == 5 + 2 * 5
    assert grid["nodes"] < 4_000
    opened.choose("backbone", "9")
    drawn = opened.page.evaluate(DRAWN)
    assert len(drawn) < len(at_first) + 20
    assert max(chart["traces"] for chart in drawn if chart["section"] != "curves") < 20
    assert sum(chart["nodes"] for chart in drawn) < 20_000
    assert opened.faults == []
