"""What a telephone cuts, and what a wide screen is used for, in a real browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dashboards.page.page import render
from tests.support.generated_study import NOW, small_study
from tests.support.opened_page import Opened, pytestmark, until  # noqa: F401  # where it can run

LONG = ("invasive ductal carcinoma, grade 3 with necrosis", "n" * 70, "normal")
OUTSIDE = """chart => {
  const frame = chart.getBoundingClientRect();
  return [...chart.querySelectorAll("text")].filter(node => node.textContent).map(node => [node.textContent,
    node.getBoundingClientRect()]).filter(([, box]) => box.left < frame.left - 1 || box.right > frame.right + 1)
    .map(([words]) => words);
}"""

ROOM = """chart => [chart._fullLayout._size.l,
  Math.max(...[...chart.querySelectorAll(".ytick text")].map(node => node.getBBox().width))]"""

BOX = "[...document.querySelectorAll('#curves .scroll')].find(box => box.checkVisibility())"


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("long names")
    storage, _ = small_study(folder, classes=LONG, balance="ngca", n_train=50_000, batch_sizes=(8, 16, 32, 64))
    page = folder / "dashboard.html"
    page.write_text(render(storage, now=NOW), encoding="utf-8")
    return page


def opened_at(width: int, browser: Any, path: Path) -> Any:
    page = Opened(browser, path, viewport={"width": width, "height": 844}).page
    page.evaluate("orchPage.drawAll()")
    return page


def test_a_telephone_shows_class_names_and_counts_whole(browser: Any, path: Path) -> None:
    page = opened_at(390, browser, path)
    chart = page.locator("#data .chart").first
    assert chart.evaluate(OUTSIDE) == []
    assert chart.evaluate("chart => chart.scrollWidth <= chart.closest('.scroll').clientWidth")
    words = chart.evaluate("chart => [...chart.querySelectorAll('.bartext')].map(node => node.textContent)")
    assert "133,336" in words
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    rows = [chart for chart in page.locator(".chart:visible").all() if chart.evaluate("c => c.layout.yaxis?.ticktext")]
    assert len(rows) > 4
    for chart in rows:
        assert chart.evaluate(OUTSIDE) == []
        room, widest = chart.evaluate(ROOM)
        assert room < max(95, widest + 30), "room for the names of rows, and no more"


def test_what_goes_on_beyond_the_edge_fades_until_it_is_reached(browser: Any, path: Path) -> None:
    page = opened_at(390, browser, path)
    box = page.locator("#curves .scroll:visible").first
    fades = "box => getComputedStyle(box).maskImage !== 'none'"
    until(page, f"() => ({fades})({BOX})")
    box.evaluate("box => { box.scrollLeft = box.scrollWidth; }")
    until(page, f"() => !({fades})({BOX})")
    assert not page.locator("#data .scroll:visible").first.evaluate(fades)


def test_figures_are_taller_on_a_wide_screen_and_rows_are_not(browser: Any, path: Path) -> None:
    heights = {}
    for width in (1280, 2560):
        page = opened_at(width, browser, path)
        heights[width] = {
            name: page.locator(f"#{name} .chart:visible").first.bounding_box()["height"]
            for name in ("answer", "heat-maps", "curves", "depth")
        }
    for name in ("curves", "depth"):
        assert heights[2560][name] == pytest.approx(1.4 * heights[1280][name], abs=1)
    for name in ("answer", "heat-maps"):
        assert heights[2560][name] == heights[1280][name]
