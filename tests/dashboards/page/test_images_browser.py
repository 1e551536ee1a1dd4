"""Images on a page in a real browser, and the page on paper: nothing runs, nothing overflows, charts take the width."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from dashboards.page.page import render
from tests.dashboards.page.test_images import HOSTILE, evaluated_with_files, shown, with_files
from tests.support.generated_study import NOW
from tests.support.opened_page import pytestmark, until  # noqa: F401  # where it can run

WIDTHS = "[...document.querySelectorAll('.chart')].filter(c => c.clientWidth).map(c => [c.clientWidth, \
+c.querySelector('.main-svg').getAttribute('width')])"
FITS = "() => document.documentElement.scrollWidth <= innerWidth"


@pytest.fixture(scope="module")
def page(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder = tmp_path_factory.mktemp("study")
    storage = with_files(folder, classes=(HOSTILE, '"><b>'), prefix=HOSTILE)
    evaluated_with_files(storage)
    path = folder / "dashboard.html"
    path.write_text(render(storage, now=NOW, shown=shown(folder, names=True)), encoding="utf-8")
    opened = browser.new_page(viewport={"width": 1280, "height": 900}, color_scheme="dark")
    opened.faults = []
    opened.on("console", lambda message: opened.faults.append(message.text))
    opened.on("dialog", lambda dialog: opened.faults.append(dialog.message))
    opened.goto(path.as_uri())
    opened.wait_for_selector("html[data-ready]", timeout=30_000)
    yield opened
    opened.close()


def test_images_are_shown_and_nothing_else_happens(page: Any) -> None:
    sizes = page.evaluate("[...document.images].map(image => [image.naturalWidth, image.alt.length])")
    assert len(sizes) > 40
    assert all(width == 96 and words > 10 for width, words in sizes)
    assert page.faults == []
    page.set_viewport_size({"width": 390, "height": 900})
    until(page, FITS)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.set_viewport_size({"width": 1280, "height": 900})


def test_charts_follow_the_window_and_the_paper(page: Any) -> None:
    page.set_viewport_size({"width": 900, "height": 900})
    until(page, FITS)
    page.evaluate("orchPage.drawAll()")
    assert all(drawn == width <= 900 for width, drawn in page.evaluate(WIDTHS))
    page.evaluate(f"addEventListener('beforeprint', () => {{ window.onPaper = {WIDTHS}; }})")
    assert page.pdf(format="A4").startswith(b"%PDF")
    on_paper = page.evaluate("window.onPaper")
    assert on_paper
    assert all(drawn == width <= 680 for width, drawn in on_paper)
    assert page.evaluate("document.documentElement.className") == ""
