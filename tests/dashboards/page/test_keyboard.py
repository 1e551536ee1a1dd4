"""The page by keyboard alone, in a real browser: every control is reached, seen and used; nothing holds the focus."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dashboards.page.page import render
from tests.support.generated_study import NOW, small_study
from tests.support.made_up_evaluation import add_evaluation
from tests.support.opened_page import Opened, pytestmark  # noqa: F401  # where it can run

WANTED = """() => [...document.querySelectorAll("a[href], select, button, summary, [tabindex='0']")]
  .filter(node => node.checkVisibility())
  .map((node, place) => { node.dataset.place = place; return node.outerHTML; })"""
FOCUSED = """() => {
  const node = document.activeElement;
  if (!node || node === document.body) return null;
  const {outlineStyle, outlineWidth} = getComputedStyle(node), box = node.getBoundingClientRect();
  const bar = document.querySelector(".bar").getBoundingClientRect();
  return {place: Number(node.dataset.place ?? -1), html: node.outerHTML.slice(0, 120),
    seen: outlineStyle !== "none" && parseFloat(outlineWidth) >= 2,
    inside: box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth,
    covered: !node.closest(".bar") && box.top < bar.bottom - 1 && box.bottom > bar.top && box.height < innerHeight / 2};
}"""


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keyboard")
    storage, _ = small_study(folder, backbones=("timm:one", "timm:two"))
    add_evaluation(storage)
    page = folder / "dashboard.html"
    page.write_text(render(storage, now=NOW), encoding="utf-8")
    return page


@pytest.mark.parametrize("width", [390, 1280])
def test_tab_reaches_every_control_in_order_and_leaves_the_page(browser: Any, path: Path, width: int) -> None:
    page = Opened(browser, path, viewport={"width": width, "height": 844}, reduced_motion="reduce").page
    page.evaluate("orchPage.drawAll()")
    wanted = page.evaluate(WANTED)
    reached, unseen, hidden = [], [], []
    for _ in range(len(wanted) + 5):
        page.keyboard.press("Tab")
        focused = page.evaluate(FOCUSED)
        if focused is None or focused["place"] in reached:
            break
        reached.append(focused["place"])
        unseen += [] if focused["seen"] else [focused["html"]]
        hidden += [] if focused["inside"] and not focused["covered"] else [focused["html"]]
    assert [wanted[place][:120] for place in range(len(wanted)) if place not in reached] == []
    assert reached == sorted(reached)
    assert unseen == []
    assert hidden == []


def test_controls_answer_to_keys(browser: Any, path: Path) -> None:
    opened = Opened(browser, path, viewport={"width": 1280, "height": 844}, reduced_motion="reduce")
    page = opened.page
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("location.hash") == "#main"
    page.locator("#theme").focus()
    page.keyboard.press("Enter")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    metric = page.locator('#heat-maps select[data-sets="heat"]')
    metric.focus()
    page.keyboard.press("ArrowDown")
    opened.ready()
    maps = page.locator("#heat-maps .chart:visible").first
    assert metric.input_value() in maps.get_attribute("aria-label").replace(" ", "_")
    data = page.locator("#heat-maps .actions:visible").first
    data.locator("summary").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("#heat-maps details[open] table")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.getAttribute('role')") == "region"
    csv = data.locator('button[data-save="csv"]')
    csv.focus()
    with page.expect_download() as saved:
        page.keyboard.press("Space")
    assert Path(saved.value.path()).read_text().startswith('"learning rate","batch size"')
    grid = page.locator("#curves .scroll:visible").first
    page.set_viewport_size({"width": 390, "height": 844})
    opened.until("() => document.querySelector('#curves .scroll.more')?.checkVisibility()")
    grid.focus()
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    opened.until("() => document.activeElement.scrollLeft > 0")
    assert opened.faults == []
