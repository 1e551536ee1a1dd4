"""Axes of parallel coordinates narrowed by a reader, in a real browser: what is left is drawn, told and kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from dashboards.figures.choice import Choice, Source
from dashboards.figures.registry import FIGURES, open_source
from dashboards.page.page import render
from tests.support.generated_study import NOW
from tests.support.opened_page import Opened, pytestmark  # noqa: F401  # where it can run
from tests.support.search_study import off_grid_study

VIEW = {"width": 1280, "height": 900}
CHART = "#search .chart[data-axes]:visible"
DRAWN = """chart => {
  const idsOf = test => new Set(chart.data.filter(trace => trace.meta?.axes && test(trace)).flatMap(t => t.meta.ids));
  return {left: [...idsOf(trace => trace.line.color !== "#e4dfd5" && trace.line.color !== "#2f353c")].sort(),
    pale: [...idsOf(trace => ["#e4dfd5", "#2f353c"].includes(trace.line.color))].sort(),
    ends: chart.data.filter(trace => trace.meta?.ids && !trace.meta.axes).flatMap(trace => trace.meta.ids).sort(),
    rings: chart.data.filter(({line}) => line?.width === 3.4).length};
}"""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Source:
    storage, _ = off_grid_study(tmp_path_factory.mktemp("drawn"))
    return open_source(storage, NOW)


@pytest.fixture(scope="module")
def path(source: Source, tmp_path_factory: pytest.TempPathFactory) -> Path:
    page = tmp_path_factory.mktemp("page") / "dashboard.html"
    page.write_text(render(source.storage, now=NOW), encoding="utf-8")
    return page


@pytest.fixture(scope="module")
def data(source: Source) -> pd.DataFrame:
    return FIGURES["parallel"].data(source, FIGURES["parallel"].choices(source.summary)[0])


def ids(rows: pd.DataFrame) -> list[str]:
    return sorted(rows["id"])


class Axes:
    """The chart of a page that was opened, and its axes."""

    def __init__(self, opened: Opened) -> None:
        self.opened, self.page = opened, opened.page
        self.chart = self.page.locator(CHART).first
        self.show()

    def show(self) -> None:
        self.chart.evaluate("chart => chart.scrollIntoView({block: 'center', behavior: 'instant'})")
        self.page.wait_for_selector(f"#{self.chart.get_attribute('id')}[data-settled]")
        self.opened.ready()

    @property
    def drawn(self) -> dict[str, Any]:
        self.show()
        found: dict[str, Any] = self.chart.evaluate(DRAWN)
        return found

    @property
    def told(self) -> str:
        self.show()
        return str(self.page.locator("#search .left p:visible").inner_text())

    def strip(self, name: str) -> Any:
        names = str(self.chart.get_attribute("data-axes")).split()
        return self.chart.locator("xpath=..").locator(".brush").nth(names.index(name))

    def drag(self, name: str, start: float, end: float) -> None:
        """From one height of an axis to another, 0 to 1 from the bottom up."""
        self.strip(name).scroll_into_view_if_needed()
        box = self.strip(name).bounding_box()
        x, top, reach = box["x"] + box["width"] / 2, box["y"] + 12, box["height"] - 24
        self.page.mouse.move(x, top + (1 - start) * reach)
        self.page.mouse.down()
        self.page.mouse.move(x, top + (1 - (start + end) / 2) * reach)
        self.page.mouse.move(x, top + (1 - end) * reach)
        self.page.mouse.up()
        self.show()


def opened_at(browser: Any, path: Path, said: str = "", **context: Any) -> Axes:
    return Axes(Opened(browser, path, said, **{"viewport": VIEW, **context}))


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_a_drag_along_an_axis_leaves_what_lies_between(
    browser: Any, path: Path, data: pd.DataFrame, width: int, scheme: str
) -> None:
    axes = opened_at(browser, path, viewport={"width": width, "height": 900}, color_scheme=scheme)
    assert axes.told == "40 configurations are shown."
    whole = axes.drawn
    assert (whole["left"], whole["pale"]) == (ids(data), [])

    sizes = data["batch_size"]
    axes.drag("batch_size", 0.4, 0.9)  # 8, 16, 32, 64 and 128 stand at 0, 0.25, 0.5, 0.75 and 1
    left = data[sizes.between(32, 64)]
    drawn = axes.drawn
    assert drawn["left"] == drawn["ends"] == ids(left)
    assert drawn["pale"] == ids(data.drop(left.index))
    assert axes.told == f"{len(left)} of 40 configurations are left: batch size 32 to 64."
    assert axes.page.evaluate("location.hash") == "#search&axis-batch_size=32,64"

    axes.drag("dropout", 1.0, 0.55)
    left = left[left["dropout"] > 0.27]
    assert axes.drawn["left"] == ids(left)
    assert axes.told.endswith("left: dropout 0.3 to 0.5; batch size 32 to 64.")
    assert axes.page.evaluate("document.documentElement.scrollWidth") <= width

    axes.drag("dropout", 0.8, 0.8)
    assert axes.drawn["left"] == ids(data[sizes.between(32, 64)]), "a click lets go of its axis"
    axes.page.click(".left button:visible")
    assert axes.drawn["left"] == ids(data)
    assert axes.page.evaluate("location.hash") == "#search"
    assert not axes.page.locator(".left button").first.is_visible()
    assert axes.opened.faults == []


def test_the_ends_of_an_axis_answer_to_keys(browser: Any, path: Path, data: pd.DataFrame) -> None:
    axes = opened_at(browser, path)
    lower, upper = (axes.strip("batch_size").locator(".end").nth(place) for place in (0, 1))
    assert lower.get_attribute("aria-label") == "batch size, lower end"
    lower.focus()
    for _ in range(2):
        axes.page.keyboard.press("ArrowUp")
    assert axes.page.evaluate("document.activeElement.getAttribute('aria-valuetext')") == "32"
    upper.focus()
    axes.page.keyboard.press("ArrowDown")
    assert axes.drawn["left"] == ids(data[data["batch_size"].between(32, 64)])
    axes.page.keyboard.press("Home")
    assert axes.drawn["left"] == ids(data[data["batch_size"] == 32]), "it stops at the other end"
    assert axes.told.endswith("left: batch size 32.")
    axes.page.keyboard.press("Escape")
    assert axes.drawn["left"] == ids(data)
    assert axes.opened.faults == []


def test_the_address_brings_narrowed_axes_back(browser: Any, path: Path, data: pd.DataFrame, source: Source) -> None:
    axes = opened_at(browser, path)
    axes.drag("lr", 0.2, 0.71)
    axes.drag("valid_loss", 0.3, 1.0)
    left = axes.drawn["left"]
    assert 0 < len(left) < 40
    said = axes.page.evaluate("location.hash")
    lrs = data.loc[data["id"].isin(left), "lr"]
    low, high = (float(end) for end in said.split("axis-lr=")[1].split("&")[0].split(","))
    assert low <= lrs.min()
    assert high >= lrs.max()
    assert {low, high} <= set(data["lr"]), "values that were tried, whole"
    again = opened_at(browser, path, said)
    assert again.drawn["left"] == left
    assert again.told == axes.told
    assert again.page.evaluate("location.hash") == said

    accurate = FIGURES["parallel"].data(
        source, Choice(**{**vars(choice_of(source)), "score": "accuracy", "best": "25"})
    )
    assert len(accurate) == 10
    again.opened.choose("search", "accuracy")
    again.opened.choose("best", "25")
    assert again.drawn["left"] == ids(accurate[accurate["lr"].between(low, high)]), "the loss is no axis any more"
    assert "best=25" in again.page.evaluate("location.hash")
    rows = again.page.locator("#search details.data:visible")
    rows.nth(1).locator("summary").click()
    again.page.wait_for_selector("#search details[open] table")
    shown = rows.nth(1).locator("tbody tr")
    assert shown.count() == len(again.drawn["left"]), "the table holds what is left"
    assert axes.opened.faults == again.opened.faults == []


def choice_of(source: Source) -> Choice:
    return FIGURES["parallel"].choices(source.summary)[0]


def test_an_address_by_hand_keeps_what_lies_between(browser: Any, path: Path, data: pd.DataFrame) -> None:
    axes = opened_at(browser, path, "#search&axis-lr=1e-2,1e-4")
    assert axes.drawn["left"] == ids(data[data["lr"].between(1e-4, 1e-2)])
    nearest = data.iloc[int(np.abs(data["momentum"] - 0.3).argmin())]
    alone = opened_at(browser, path, "#search&axis-momentum=0.3,0.3")
    assert alone.drawn["left"] == [nearest["id"]], "nothing lies there: the nearest"
    assert axes.opened.faults == alone.opened.faults == []


def test_what_is_no_axis_is_not_taken(browser: Any, path: Path) -> None:
    axes = opened_at(browser, path, "#search&axis-lr=%,1&axis-nothing=1,2&axis-dropout=1&axis-")
    assert axes.told == "40 configurations are shown."
    assert axes.opened.faults == []


def test_a_marked_configuration_is_seen_among_those_left_out(browser: Any, path: Path, data: pd.DataFrame) -> None:
    axes = opened_at(browser, path, "#search&axis-batch_size=32,64")
    other = data[~data["batch_size"].between(32, 64)]["id"].iloc[0]
    axes.opened.choose("picked", other)
    assert axes.drawn["rings"] == 1
    axes.page.click("#theme")
    axes.opened.ready()
    assert axes.drawn["rings"] == 1
    mine = axes.drawn["ends"][0]
    axes.chart.evaluate(
        """(chart, id) => {
          const number = chart.data.findIndex(trace => trace.meta?.ids && !trace.meta.axes);
          const place = chart.data[number].meta.ids.indexOf(id);
          chart.emit('plotly_click', {points: [{data: chart.data[number], pointNumber: place}]});
        }""",
        mine,
    )
    axes.opened.ready()
    assert axes.page.evaluate("document.querySelector('select[data-sets=picked]').value") == mine
    assert axes.opened.faults == []
