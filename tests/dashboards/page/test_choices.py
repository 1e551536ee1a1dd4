"""What a choice shows, in a real browser: what is in view is drawn, and nothing else; what is enlarged stays."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from dashboards.figures.palette import DARK, HEAT, PAPER
from dashboards.page.page import render
from tests.support.generated_study import NOW, small_study
from tests.support.opened_page import Opened, pytestmark  # noqa: F401  # where it can run

VIEW = {"width": 1280, "height": 900}
AWAY = """() => [...document.querySelectorAll(".chart")].filter(chart => chart.offsetParent).map(chart => {
  const {top, bottom} = chart.getBoundingClientRect();
  return [Math.max(0, top - innerHeight, -bottom), "drawn" in chart.dataset];
})"""
"""Of every chart that could be seen: pixels between it and the view, and whether it is drawn."""
LINES = """chart => [...chart.querySelectorAll(".js-line")].map(line => getComputedStyle(line).stroke)"""
RANGES = "chart => [...chart._fullLayout.xaxis.range, ...chart._fullLayout.yaxis.range]"


def test_only_charts_in_or_near_the_view_are_drawn(browser: Any, written: tuple[Path, Any]) -> None:
    opened = Opened(browser, written[0], viewport=VIEW)
    found = opened.page.evaluate(AWAY)
    assert [drawn for away, drawn in found if away < 600] == [True] * sum(away < 600 for away, _ in found)
    assert not any(drawn for away, drawn in found if away > 1200)
    assert sum(away > 1200 for away, _ in found) > 4
    assert opened.page.locator(f"#chart-{opened.show('spread')} .point").count() > 0, "where one scrolls to"
    assert opened.faults == []


def test_charts_out_of_view_are_described_as_chosen(browser: Any, written: tuple[Path, Any]) -> None:
    """A screen reader need not scroll."""
    opened = Opened(browser, written[0], viewport={"width": 1280, "height": 200})
    page, number = opened.page, opened.first("spread")
    assert page.get_attribute(f"#chart-{number}", "data-drawn") is None
    page.select_option('#spread select[data-sets="spread"]', "accuracy", force=True)
    said = f"() => document.getElementById('chart-{number}').getAttribute('aria-label').includes('accuracy')"
    opened.until(said)
    assert opened.faults == []


def test_another_theme_recolours_what_is_drawn(browser: Any, written: tuple[Path, Any]) -> None:
    opened = Opened(browser, written[0], viewport=VIEW, color_scheme="light")
    page = opened.page
    heat = opened.first("heat-maps")
    grid = page.locator(f"#chart-{opened.show('curves')}")
    light = grid.evaluate(LINES)
    assert {"rgb(42, 106, 156)", "rgb(189, 79, 20)"} <= set(light)
    at_once = grid.evaluate(f"chart => {{ document.getElementById('theme').click(); return ({LINES})(chart); }}")
    opened.ready()
    dark = grid.evaluate(LINES)
    assert at_once == dark
    assert grid.evaluate("chart => chart.layout.paper_bgcolor") == DARK[PAPER], "plotly knows it too"
    assert {"rgb(112, 180, 227)", "rgb(242, 151, 92)"} <= set(dark)
    assert not {"rgb(42, 106, 156)", "rgb(189, 79, 20)"} & set(dark)
    opened.show("heat-maps")
    scale = [colour for _, colour in opened.traces(heat)[0]["colorscale"]]
    assert scale == [DARK[colour] for colour in reversed(HEAT)], "a smaller loss is stronger"
    page.evaluate("scrollTo({top: document.body.scrollHeight, behavior: 'instant'})")
    page.click("#theme")
    opened.show("curves")
    assert grid.evaluate(LINES) == light, "it was out of view when the theme changed"
    ground = grid.evaluate("chart => getComputedStyle(chart.querySelector('.main-svg')).backgroundColor")
    assert ground == page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.evaluate("() => { for (const _ of [1, 2, 3]) document.getElementById('theme').click(); }")
    opened.ready()
    assert grid.evaluate(LINES) == dark, "the last of quick changes counts"
    assert opened.faults == []


def test_of_quick_choices_the_last_one_is_drawn_and_once(browser: Any, written: tuple[Path, Any]) -> None:
    opened = Opened(browser, written[0], viewport=VIEW)
    opened.show("curves")
    choose = """choices => {
      for (const [name, value] of choices) {
        const select = document.querySelector(`select[data-sets=${name}]`);
        select.value = value;
        select.dispatchEvent(new Event("change"));
      }
    }"""
    opened.page.evaluate(choose, [["backbone", "1"], ["curve", "accuracy"], ["curve", "loss"], ["curve", "accuracy"]])
    grid = opened.page.locator(f"#chart-{opened.show('curves')}")
    assert "accuracy" in grid.get_attribute("aria-label")
    assert {trace["meta"]["score"] for trace in opened.traces(opened.first("curves")) if trace.get("meta")} == {
        "accuracy"
    }
    assert grid.get_attribute("data-plotted") == "1", "its data were still being read when the others were chosen"
    assert opened.faults == []


@pytest.mark.parametrize(("score", "panels"), [("accuracy", 4), ("loss_and_accuracy", 8)])
def test_a_grid_has_few_traces_and_axes(browser: Any, written: tuple[Path, Any], score: str, panels: int) -> None:
    """Of each panel two lines with their bands, and the dots of all its repeats as one trace."""
    opened = Opened(browser, written[0], viewport=VIEW)
    grid = opened.page.locator(f"#chart-{opened.show('curves')}")
    opened.choose("curve", score)
    assert grid.evaluate("chart => chart.data.length") == 3 * panels
    assert grid.locator("path.js-line").count() == 2 * panels
    assert grid.locator(".shapelayer path").count() == 2 * panels
    assert grid.locator("path.point").count() == 3 * panels
    axes = "chart => Object.keys(chart._fullLayout).filter(name => /^[xy]axis\\d*$/.test(name)).length"
    assert grid.evaluate(axes) == 2 + 2 * panels // 4
    assert opened.faults == []


def test_what_is_enlarged_belongs_to_a_choice(browser: Any, written: tuple[Path, Any]) -> None:
    opened = Opened(browser, written[0], viewport=VIEW)
    page, chart = opened.page, opened.page.locator(f"#chart-{opened.show('curves')}")
    whole = chart.evaluate(RANGES)
    chart.evaluate("chart => Plotly.relayout(chart, {'xaxis.range': [1, 2], 'yaxis.range': [0.4, 0.5]})")
    page.set_viewport_size({"width": 1200, "height": 900})
    opened.until(f"() => {{ const chart = {of(chart)}; return chart._fullLayout.width === chart.clientWidth; }}")
    assert chart.evaluate(RANGES) == [1, 2, 0.4, 0.5], "another width shows the same part"
    opened.choose("curve", "accuracy")
    assert chart.evaluate(RANGES)[:2] == whole[:2]
    other = chart.evaluate(RANGES)[2:]
    assert other != whole[2:]
    chart.evaluate("chart => Plotly.relayout(chart, {'yaxis.range': [0.4, 0.5]})")
    panel = chart.locator(".nsewdrag").first
    panel.dblclick()
    opened.until(f"() => {{ const [low] = {of(chart)}._fullLayout.yaxis.range; return low === {other[0]}; }}")
    assert chart.evaluate(RANGES)[2:] == other, "a double click returns to the range of what is shown"
    assert opened.faults == []


def of(chart: Any) -> str:
    """The element as a script finds it."""
    return f"document.getElementById('{chart.get_attribute('id')}')"


def test_a_line_says_what_it_is_where_one_points(browser: Any, written: tuple[Path, Any]) -> None:
    opened = Opened(browser, written[0], viewport=VIEW)
    page, chart = opened.page, opened.page.locator(f"#chart-{opened.show('curves')}")
    line = chart.locator("path.js-line").nth(1)
    at = "line => { const {x, y} = line.getPointAtLength(0), {a, d, e, f} = line.getScreenCTM(); "
    at += "return [a * x + e, d * y + f]; }"
    x, y = line.evaluate(at)
    page.mouse.move(x + 60, y + 10)
    page.mouse.move(x + 1, y + 1)
    opened.until(f"() => {of(chart)}.querySelector('.hovertext')")
    said = chart.locator(".hovertext").first.text_content()
    assert re.fullmatch(r"(train|valid) loss \d\.\d{4} ± 0\.\d{4}, epoch \d+, n = 3|best of .*", said), said
    assert opened.faults == []


def test_numbers_come_back_to_a_heat_map_that_was_blank(browser: Any, tmp_path: Path) -> None:
    """One repeat has no deviation; plotly would keep hidden what has once been empty."""
    storage, _ = small_study(tmp_path, repeats=1, depths=((0, 0),))
    path = tmp_path / "dashboard.html"
    path.write_text(render(storage, now=NOW), encoding="utf-8")
    opened = Opened(browser, path, viewport=VIEW)
    chart = opened.page.locator(f"#chart-{opened.show('heat-maps')}")
    words = "chart => [...chart.querySelectorAll('.textpoint text')].map(node => node.textContent.trim())"
    before = chart.evaluate(words)
    assert all(re.fullmatch(r"0\.\d{3}", word) for word in before)
    opened.choose("of", "std")
    assert chart.evaluate(words) == [""] * len(before)
    opened.choose("of", "mean")
    assert chart.evaluate(words) == before
    assert len(before) == 4
