"""The page of a check in a real browser: nothing runs, nothing is asked for, nothing overflows, keys reach it all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dashboards.check.page import check_page
from tests.dashboards.check.test_check_page import NOW, read, told
from tests.support.opened_page import pytestmark  # noqa: F401  # where it can run


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("check") / "check.html"
    path.write_text(check_page(told(40), read, NOW), encoding="utf-8")
    return path


def opened(browser: Any, path: Path, faults: list[str], **context: Any) -> Any:
    page = browser.new_context(**context).new_page()
    page.on("console", lambda message: faults.append(message.text))
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("dialog", lambda dialog: faults.append(dialog.message))
    page.on("request", lambda one: faults.append(one.url) if not one.url.startswith(("file:", "data:")) else None)
    page.goto(path.as_uri())
    return page


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_and_axe_finds_no_serious_fault(browser: Any, path: Path, width: int, scheme: str) -> None:
    faults: list[str] = []
    page = opened(browser, path, faults, viewport={"width": width, "height": 900}, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    sizes = page.evaluate("[...document.images].map(image => [image.naturalWidth, image.alt.length])")
    assert len(sizes) == 50
    assert all(size > 0 and words > 5 for size, words in sizes)
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor") != "rgb(253, 252, 249)"
    assert dark == (scheme == "dark")
    assert faults == []
    page.context.close()
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = opened(browser, path, faults, viewport={"width": width, "height": 900}, color_scheme=scheme, bypass_csp=True)
    page.evaluate("document.querySelectorAll('details').forEach(details => { details.open = true; })")
    found = [
        f"{fault['id']}: {node['html'][:200]} {node.get('failureSummary', '')[:300]}"
        for fault in axe.run(page).response["violations"]
        if fault["impact"] in ("serious", "critical")
        for node in fault["nodes"]
    ]
    assert found == []
    page.context.close()


def test_keys_reach_findings_and_lists(browser: Any, path: Path) -> None:
    faults: list[str] = []
    page = opened(browser, path, faults, viewport={"width": 1280, "height": 900})
    reached = []
    for _ in range(20):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.getAttribute('href') || document.activeElement.tagName"))
    assert reached[0] == "#main"
    assert {"#findings", "#classes", "#finding-1", "#finding-3", "SUMMARY"} <= set(reached)
    page.locator("summary").first.focus()
    page.keyboard.press("Enter")
    assert page.evaluate("document.querySelector('details').open")
    assert faults == []
    page.context.close()
