"""What a choice shows, in a real browser: at once by a picture, then by the figure; what is enlarged stays."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from dashboards.page.page import render
from tests.support.generated_study import NOW, small_study
from tests.support.opened_page import Opened, pytestmark  # noqa: F401  # where it can run


def test_another_theme_recolours_at_once_and_draws_when_idle(browser: Any, written: tuple[Path, Any]) -> None:
    opened = Opened(browser, written[0], viewport={"width": 1280, "height": 900}, color_scheme="light")
    chart = f"chart-{opened.first('curves')}"
    opened.page.locator(f"#{chart}").scroll_into_view_if_needed()
    opened.page.wait_for_timeout(400)
    lines = f"""() => [...document.querySelectorAll("#{chart} .js-line")].map(line => getComputedStyle(line).stroke)"""
    light = opened.page.evaluate(lines)
    dark = opened.page.evaluate(f"() => {{ document.getElementById('theme').click(); return ({lines})(); }}")
    assert {"rgb(42, 106, 156)", "rgb(189, 79, 20)"} <= set(light)
    assert {"rgb(112, 180, 227)", "rgb(242, 151, 92)"} <= set(dark)
    assert not {"rgb(42, 106, 156)", "rgb(189, 79, 20)"} & set(dark)
    drawn = f"""() => new Promise(done => {{
      const look = () => document.getElementById("{chart}").layout.paper_bgcolor === "#14171b"
        ? done(true) : setTimeout(look, 50);
      look();
    }})"""
    assert opened.page.evaluate(drawn)
    assert opened.page.evaluate(lines) == dark
    assert opened.faults == []


def test_two_quick_changes_of_theme_leave_no_figure_in_the_first(browser: Any, written: tuple[Path, Any]) -> None:
    opened = Opened(browser, written[0], viewport={"width": 1280, "height": 900}, color_scheme="light")
    page, chart = opened.page, opened.page.locator(f"#chart-{opened.first('curves')}")
    to = "{block: 'center', behavior: 'instant'}"
    chart.evaluate(f"chart => chart.scrollIntoView({to})")
    page.wait_for_timeout(1500)
    page.click("#theme")
    page.evaluate("scrollTo({top: document.body.scrollHeight, behavior: 'instant'})")
    page.wait_for_timeout(200)
    page.click("#theme")
    chart.evaluate(f"chart => chart.scrollIntoView({to})")
    page.wait_for_timeout(4000)
    ground = chart.evaluate("chart => getComputedStyle(chart.querySelector('.main-svg')).backgroundColor")
    assert ground == page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert opened.faults == []


CHOSEN = """([name, value, number]) => new Promise(done => {
  const select = [...document.querySelectorAll(`select[data-sets="${name}"]`)].find(one => one.offsetParent);
  select.value = value;
  select.dispatchEvent(new Event("change"));
  const frame = document.getElementById("chart-" + number).parentElement;
  setTimeout(() => done([frame.querySelectorAll(".picture").length, frame.firstChild.getAttribute("aria-label")]));
})"""
MARKS = """(frame, inside) => {
  const {left, top} = frame.getBoundingClientRect();
  const found = [...frame.querySelectorAll(inside + " text, " + inside + " path[transform^=translate]")];
  const marks = found.filter(node => node.textContent || /A3|L0/.test(node.getAttribute("d"))).map(node => {
    const box = node.getBoundingClientRect();
    return [node.textContent, (box.left + box.right) / 2 - left, (box.top + box.bottom) / 2 - top];
  });
  return marks.sort(([a, ax, ay], [b, bx, by]) => a < b ? -1 : a > b ? 1 : ax - bx || ay - by);
}"""


def in_view(browser: Any, path: Path, section: str, rest_ms: int) -> tuple[Opened, int, Any]:
    """The page with the first chart of a section in view, its number, and its frame."""
    opened = Opened(browser, path, viewport={"width": 1280, "height": 900})
    number = opened.first(section)
    frame = opened.page.locator(f".scroll:has(> #chart-{number})")
    frame.scroll_into_view_if_needed()
    opened.page.wait_for_timeout(rest_ms)
    return opened, number, frame


def test_a_choice_one_step_away_is_answered_by_its_picture(browser: Any, written: tuple[Path, Any]) -> None:
    opened, number, frame = in_view(browser, written[0], "depth", 4000)
    page = opened.page
    before = opened.traces(number)
    pictures, label = page.evaluate(CHOSEN, ["score", "accuracy", number])
    assert pictures == 1
    assert label.startswith("Accuracy")
    seen = frame.evaluate(MARKS, ".picture")
    page.wait_for_selector(".picture", state="detached")
    assert frame.evaluate(MARKS, ".chart") == seen
    assert opened.traces(number) != before
    opened.choose("score", "loss")
    assert opened.traces(number) == before
    assert opened.faults == []


@pytest.mark.parametrize("scores", ["accuracy", "loss_and_accuracy"])
def test_a_grid_of_curves_is_drawn_at_once_as_plotly_draws_it(
    browser: Any, written: tuple[Path, Any], scores: str
) -> None:
    opened, number, frame = in_view(browser, written[0], "curves", 300)
    page = opened.page
    pictures, label = page.evaluate(CHOSEN, ["curve", scores, number])
    assert pictures == 1
    assert "accuracy" in label
    drawn, bands = frame.evaluate(MARKS, ".picture"), frame.locator('.picture path[transform^="matrix"]').count()
    lines = frame.locator('.picture path[style*="fill:none"]:not([shape-rendering])').count()
    page.wait_for_selector(".picture", state="detached")
    plotted = frame.evaluate(MARKS, ".chart")
    assert [word for word, *_ in drawn] == [word for word, *_ in plotted]
    for (_, *here), (word, *there) in zip(drawn, plotted, strict=True):
        assert here == pytest.approx(there, abs=1.5), word or "a dot"
    panels = 8 if scores == "loss_and_accuracy" else 4
    assert len([word for word, *_ in drawn if not word]) == 3 * panels
    assert bands == frame.locator(".chart .shapelayer path").count() == 2 * panels
    assert lines == frame.locator(".chart path.js-line").count() == 2 * panels
    assert opened.faults == []


@pytest.mark.parametrize(("control", "value"), [("heat", "accuracy"), ("of", "n")])
def test_a_heat_map_is_drawn_at_once_as_plotly_draws_it(
    browser: Any, written: tuple[Path, Any], control: str, value: str
) -> None:
    opened, number, frame = in_view(browser, written[0], "heat-maps", 300)
    page = opened.page
    pictures, _ = page.evaluate(CHOSEN, [control, value, number])
    assert pictures == 1
    drawn = frame.evaluate(MARKS, ".picture")
    cells = frame.locator(".picture rect").evaluate_all("every => every.map(one => [one.style.fill, one.style.stroke])")
    colours = {fill for fill, _ in cells if fill != "none"}
    page.wait_for_selector(".picture", state="detached")
    plotted = frame.evaluate(MARKS, ".chart")
    assert [word for word, *_ in drawn] == [word for word, *_ in plotted if word.strip()]
    for (_, *here), (word, *there) in zip(drawn, [one for one in plotted if one[0].strip()], strict=True):
        assert here == pytest.approx(there, abs=1.5), word
    assert len(colours) == len({word for word, *_ in drawn if re.fullmatch(r"0\.\d{3}|3", word)})
    assert len(cells) == 4 + frame.locator(".chart .shapelayer path").count()
    assert opened.faults == []


def test_a_configuration_is_picked_in_a_grid_that_plotly_has_not_drawn(browser: Any, written: tuple[Path, Any]) -> None:
    opened = Opened(browser, written[0], viewport={"width": 1280, "height": 900})
    page = opened.page
    page.locator(f"#chart-{opened.first('curves')}").scroll_into_view_if_needed()
    page.locator('select[data-sets="backbone"]').select_option("1")
    chart = page.locator("#curves .chart[data-picks]:visible").first
    box = chart.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] * 0.75, box["y"] + 90)
    chosen = f'select[data-sets="{chart.get_attribute("data-picks")}"] option:checked'
    assert page.locator(chosen).text_content() == "lr 1e-3, batch 32"
    assert opened.faults == []


def test_what_is_enlarged_belongs_to_a_choice(browser: Any, written: tuple[Path, Any]) -> None:
    opened = Opened(browser, written[0], viewport={"width": 1280, "height": 900})
    page, number = opened.page, opened.first("curves")
    chart = page.locator(f"#chart-{number}")
    chart.scroll_into_view_if_needed()
    page.wait_for_timeout(400)
    ranges = "chart => [...chart._fullLayout.xaxis.range, ...chart._fullLayout.yaxis.range]"
    settled = page.locator(f'#chart-{number}[data-settled="yes"]')
    whole = chart.evaluate(ranges)
    chart.evaluate("chart => Plotly.relayout(chart, {'xaxis.range': [1, 2], 'yaxis.range': [0.4, 0.5]})")
    page.set_viewport_size({"width": 1200, "height": 900})
    page.wait_for_timeout(1000)
    assert chart.evaluate(ranges) == [1, 2, 0.4, 0.5], "another width shows the same part"
    opened.choose("curve", "accuracy")
    settled.wait_for()
    page.wait_for_selector(".picture", state="detached")
    assert chart.evaluate(ranges)[:2] == whole[:2]
    other = chart.evaluate(ranges)[2:]
    assert other != whole[2:]
    chart.evaluate("chart => Plotly.relayout(chart, {'yaxis.range': [0.4, 0.5]})")
    panel = chart.locator(".nsewdrag").first
    panel.scroll_into_view_if_needed()
    panel.dblclick()
    page.wait_for_timeout(600)
    box = panel.bounding_box()
    assert box is not None
    for step in range(20):
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] * step / 20)
        page.wait_for_timeout(60)
        if chart.locator(".hovertext").count():
            break
    said = chart.locator(".hovertext").first.text_content()
    assert re.fullmatch(r"(train|valid) accuracy 0\.\d{4} ± 0\.\d{4}, epoch \d+, n = 3|best of .*", said), said
    assert chart.evaluate(ranges)[2:] == other, "a double click returns to the range of what is shown"
    assert opened.faults == []


def test_numbers_come_back_to_a_heat_map_that_was_blank(browser: Any, tmp_path: Path) -> None:
    """One repeat has no deviation; plotly would keep hidden what has once been empty."""
    storage, _ = small_study(tmp_path, repeats=1, depths=((0, 0),))
    path = tmp_path / "dashboard.html"
    path.write_text(render(storage, now=NOW), encoding="utf-8")
    opened = Opened(browser, path, viewport={"width": 1280, "height": 900})
    chart = opened.page.locator(f"#chart-{opened.first('heat-maps')}")
    chart.scroll_into_view_if_needed()
    words = "chart => [...chart.querySelectorAll('.textpoint text')].map(node => node.textContent.trim())"
    before = chart.evaluate(words)
    assert all(re.fullmatch(r"0\.\d{3}", word) for word in before)
    opened.choose("of", "std")
    assert chart.evaluate(words) == [""] * len(before)
    opened.choose("of", "mean")
    assert chart.evaluate(words) == before
    assert len(before) == 4
