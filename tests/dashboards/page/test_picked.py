"""A configuration that is chosen in one figure: marked in the others, beside the best, and kept in the address."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dashboards.figures.registry import open_source
from dashboards.page.page import render
from dashboards.page.picked import picked_data
from tests.support.adaptive_study import adaptive_off_grid
from tests.support.generated_study import NOW, small_study
from tests.support.opened_page import CHROMIUM, Opened
from tests.support.undecided_study import UndecidedStudy

in_a_browser = pytest.mark.skipif(not CHROMIUM.exists(), reason=f"needs {CHROMIUM}")
MARKED = """() => [...document.querySelectorAll("#search .chart[data-settled]")].map(chart =>
  chart.data.filter(({marker, line}) => marker?.size === 17 || line?.width === 3.4).length)"""
HASH = "location.hash"


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> UndecidedStudy:
    return adaptive_off_grid(tmp_path_factory.mktemp("drawn"))[0]


@pytest.fixture(scope="module")
def path(searched: UndecidedStudy) -> Path:
    page = searched.storage.local("dashboard.html")
    page.write_text(render(searched.storage, now=NOW), encoding="utf-8")
    return page


def test_every_configuration_has_its_settings_and_how_it_stands(searched: UndecidedStudy) -> None:
    source = open_source(searched.storage, NOW)
    data = picked_data(source)
    assert {"learning rate", "momentum", "dropout"} <= set(data["settings"])
    assert "backbone" not in data["settings"], "there is one"
    first = source.summary.configurations[0]
    assert data["best"] == [first.id]
    place = data["settings"].index("batch size")
    assert data["configurations"][first.id]["values"][place] == str(first.configuration.optimiser.batch_size)
    assert data["configurations"][first.id]["told"][0].startswith(f"{first.id}: rank 1, valid loss 0.")
    stopped = [one for one in data["configurations"].values() if len(one["told"]) > 1]
    assert len(stopped) == sum(bool(member.stopped_by_search) for member in source.summary.configurations)
    words = {one["told"][1] for one in stopped}
    assert any(
        one.startswith("Stopped by the search after 3 repeats, 4 epochs: its final score is unknown. Why: rung 2 of 4")
        for one in words
    )
    assert "worse" not in str(words)


def test_scores_of_few_epochs_are_told_as_such(path: Path) -> None:
    told = "The search stopped 36 configurations after 3–12 repeats of 4–20 epochs: final scores unknown, no rank."
    assert path.read_text().count(told) >= 3, "beside parallel coordinates, slices and importance"
    assert path.read_text().count("Results decided what was trained, so values near good results") == 1, "importance"


def test_a_page_without_the_section_has_no_choice(tmp_path: Path) -> None:
    storage, _ = small_study(tmp_path)
    assert 'data-sets="picked"' not in render(storage, now=NOW)


def shown(opened: Opened) -> dict[str, Any]:
    """The table below, and how many rings each chart that is drawn has."""
    opened.ready()
    opened.page.evaluate("orchPage.drawAll()")
    opened.ready()
    box = opened.page.locator(".picked")
    rows = [row.split("\t") for row in box.inner_text().splitlines() if "\t" in row]
    return {"rows": rows, "rings": opened.page.evaluate(MARKED)}


def click(opened: Opened, chart: Any, place: int) -> None:
    """On the point of a chart that lies there among all that answer to the pointer."""
    box = chart.locator(".point").nth(place).bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    opened.page.mouse.move(x, y)
    opened.until(f"() => document.getElementById('{chart.get_attribute('id')}').querySelector('.hovertext')")
    opened.page.mouse.click(x, y)


@in_a_browser
@pytest.mark.parametrize("width", [390, 1280])
def test_a_click_marks_a_configuration_everywhere(browser: Any, path: Path, width: int) -> None:
    opened = Opened(browser, path, viewport={"width": width, "height": 900})
    page = opened.page
    assert not page.locator(".picked").is_visible()
    opened.show("search")
    chart = page.locator("#search .chart[data-marks]:visible").nth(3)
    chart.evaluate("chart => chart.scrollIntoView({block: 'center', behavior: 'instant'})")
    page.wait_for_selector(f"#{chart.get_attribute('id')}[data-settled]")
    click(opened, chart, 0)
    opened.until("() => !document.querySelector('.picked').hidden")
    name = page.evaluate("document.querySelector('select[data-sets=picked]').value")
    assert page.evaluate(HASH) == f"#search&picked={name}"
    found = shown(opened)
    assert found["rows"][0] == ["Setting", "Chosen", "Best", ""] or len(found["rows"][0]) == 2
    assert sum(count > 0 for count in found["rings"]) >= 4, "flow, race, cost, parallel coordinates and slices"
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.click(".picked button")
    opened.until("() => document.querySelector('.picked').hidden")
    assert page.evaluate(HASH) == "#search"
    assert not any(shown(opened)["rings"])
    assert opened.faults == []


@in_a_browser
def test_the_address_brings_the_view_back(browser: Any, path: Path, searched: UndecidedStudy) -> None:
    source = open_source(searched.storage, NOW)
    other = source.summary.configurations[-1].id
    opened = Opened(browser, path, viewport={"width": 1280, "height": 900})
    opened.show("search")
    opened.choose("picked", other)
    opened.choose("against", "parameters")
    said = opened.page.evaluate(HASH)
    assert said.startswith("#search&")
    assert set(said.split("&")[1:]) == {f"picked={other}", "against=parameters"}
    opened.page.click('nav a[href="#spread"]')
    opened.until("() => location.hash.startsWith('#spread&')")
    again = opened.page.context.new_page()
    again.goto(f"{path.as_uri()}{said}")
    again.wait_for_selector("html[data-ready]")
    values = "['picked', 'against'].map(name => document.querySelector(`select[data-sets=${name}]`).value)"
    assert again.evaluate(values) == [other, "parameters"]
    again.wait_for_selector(".picked table")
    differs = again.evaluate(
        "[...document.querySelectorAll('.picked tr.differs td:last-child')].map(c => c.textContent)"
    )
    assert differs
    assert set(differs) == {"≠"}
    assert again.evaluate("scrollY") > 0
    assert opened.faults == []


@in_a_browser
@pytest.mark.parametrize("said", ["#search&picked=<b>x</b>&nothing=1", "#%&%=%", "#search&picked=", "#&&=&"])
def test_what_a_page_does_not_offer_is_not_taken_from_the_address(browser: Any, path: Path, said: str) -> None:
    opened = Opened(browser, path, said, viewport={"width": 1280, "height": 900})
    assert opened.page.evaluate("document.querySelector('select[data-sets=picked]').value") == ""
    assert not opened.page.locator(".picked").is_visible()
    assert opened.faults == []
