"""The live page in a real browser: numbers change without a reload, zoom and choices stay, no script is refused."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dashboards.live.server import LiveServer
from dashboards.page.page import render
from orchestrator.store.record import pack
from orchestrator.store.schema import History
from orchestrator.study.studies import now
from orchestrator.watch.now import StudyNow
from search_spaces.configuration import Configuration
from tests.support.generated_study import GeneratedStudy, UnsyncedStorage, segment_of, write_lease
from tests.support.opened_page import pytestmark, until  # noqa: F401  # where it can run
from tests.support.search_study import DrawnStudy

DONE = 2
"""Repeats of each configuration that have a result when the page is opened."""


class Served:
    """A study of which some repeats are finished, its server, and a browser that shows it."""

    def __init__(
        self, folder: Path, browser: Any, study: type[GeneratedStudy] = GeneratedStudy, **changes: Any
    ) -> None:
        settings: dict[str, Any] = {"depths": ((0, 0), (1, 0)), "lrs": (1e-3, 1e-2), "repeats": 3, "epochs": 6}
        settings["skip"] = lambda _configuration, repeat: repeat >= DONE
        self.study = study(**{**settings, **changes})
        self.storage = UnsyncedStorage(folder)
        self.study.write(self.storage)
        self.server = LiveServer("127.0.0.1", 0, StudyNow(self.storage).look, lambda: render(self.storage, now=now()))
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()
        self.faults: list[str] = []
        self.loads = 0
        self.context = browser.new_context(viewport={"width": 1280, "height": 900})
        self.page = self.context.new_page()
        self.page.on("console", lambda message: self.faults.append(message.text))
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("request", lambda request: self._asked(request.url))
        self.page.on("load", lambda _page: self._loaded())
        self.page.goto(self.server.url)

    def _asked(self, url: str) -> None:
        if not url.startswith((self.server.url, "blob:", "data:")):
            self.faults.append(f"asked for {url}")

    def _loaded(self) -> None:
        self.loads += 1

    def ready(self) -> None:
        """Until the page shows what was chosen and the server has answered."""
        self.page.wait_for_selector("html[data-ready][data-reached=yes]", timeout=60_000)

    def until(self, expression: str) -> None:
        until(self.page, f"() => {expression}")

    def finish(self, repeat: int) -> None:
        """Write this repeat of every configuration, the earlier ones are there, and wait until the page shows it."""
        configurations = self.study.configurations()
        for configuration in configurations:
            self.study.begin(self.storage, configuration, repeat)
            self.study.write_final(self.storage, configuration, repeat, self.study.epochs)
        done = f"{(repeat + 1) * len(configurations)} of "
        self.until(f"document.querySelector('.masthead .note').innerText.startsWith('{done}')")
        self.ready()

    def close(self) -> None:
        self.context.close()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def served(browser: Any, tmp_path: Path) -> Iterator[Served]:
    opened = Served(tmp_path, browser)
    opened.ready()
    yield opened
    opened.close()


def test_numbers_change_without_a_reload(served: Served) -> None:
    page = served.page
    assert "16 of 24 repeats" in page.inner_text("#now .lede")
    assert page.inner_text("#answer").count("±") == 0, "nothing is ranked while repeats are owed"
    page.evaluate("window.mark = 1")
    served.finish(2)
    assert "24 of 24 repeats" in page.inner_text("#now .lede")
    assert "24 of 24 repeats done" in page.inner_text(".masthead")
    assert page.inner_text("#answer").count("±") > 2
    assert page.evaluate("window.mark") == 1
    assert served.loads == 1
    assert served.faults == []


def test_zoom_choices_and_opened_tables_stay(browser: Any, tmp_path: Path) -> None:
    served = Served(tmp_path, browser, repeats=4)
    page = served.page
    served.ready()
    page.select_option('#heat-maps select[data-sets="heat"]', "accuracy")
    page.locator("#curves .chart:visible").first.scroll_into_view_if_needed()
    frame = page.query_selector("#curves .frame:visible")
    chart = frame.query_selector(".chart")
    chart.wait_for_selector(".nsewdrag", state="attached")
    frame.query_selector("summary").click()
    frame.wait_for_selector("table")
    box = chart.query_selector(".nsewdrag").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.3, box["y"] + box["height"] * 0.2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.7, box["y"] + box["height"] * 0.8, steps=4)
    page.mouse.up()
    until(page, "chart => chart._fullLayout.xaxis.range[0] > 0", chart)  # a part of the panel is enlarged
    limits = "chart => [...chart._fullLayout.xaxis.range, ...chart._fullLayout.yaxis.range]"
    zoomed = chart.evaluate(limits)
    drawn = "chart => JSON.stringify(chart.data.map(trace => [...trace.y || []]))"
    rows = frame.inner_text()
    for repeat in (2, 3):
        before = chart.evaluate(drawn)
        served.finish(repeat)
        until(page, f"([chart, before]) => ({drawn})(chart) !== before", [chart, before])
        served.ready()
        assert chart.evaluate(limits) == pytest.approx(zoomed)
    chart.query_selector(".nsewdrag").dblclick()
    until(page, "chart => chart._fullLayout.xaxis.range[0] < 0", chart)
    assert chart.evaluate("chart => chart._fullLayout.xaxis.range") == pytest.approx([-0.12, 6.12])
    assert frame.query_selector("details").get_attribute("open") is not None
    until(page, "([frame, rows]) => frame.innerText !== rows", [frame, rows])
    assert page.input_value('#heat-maps select[data-sets="heat"]') == "accuracy"
    page.select_option('#heat-maps select[data-sets="heat"]', "loss")
    served.until("document.querySelector('#heat-maps .chart').getAttribute('aria-label').includes('loss')")
    assert served.faults == []
    served.close()


class Overtaking(GeneratedStudy):
    """Whose second backbone becomes the best with its third repeat."""

    def history(self, configuration: Configuration, repeat: int, epochs: int, diverged: bool) -> History:
        made = super().history(configuration, repeat, epochs, diverged)
        if configuration.network.backbone != self.backbones[1]:
            return made
        return History(made.splits, made.loss * (0.5 if repeat >= DONE else 1.2), made.statistics)


def test_the_chosen_backbone_stays_when_another_overtakes_it(browser: Any, tmp_path: Path) -> None:
    served = Served(tmp_path, browser, study=Overtaking, backbones=("timm:one", "timm:two"))
    page = served.page
    served.ready()
    names = (
        """[...document.querySelectorAll('select[data-sets="backbone"] option')].map(option => option.textContent)"""
    )
    assert page.evaluate(names) == ["one", "two"]
    shown = (
        "[...document.querySelectorAll('#curves h3')].filter(head => head.offsetParent).map(head => head.textContent)"
    )
    before = page.evaluate(shown)
    assert before[0] == "one"
    served.finish(2)
    assert page.evaluate(names) == ["two", "one"]
    assert page.evaluate(shown)[0] == "one"
    assert served.faults == []
    served.close()


def test_new_figures_appear_and_answer(browser: Any, tmp_path: Path) -> None:
    served = Served(tmp_path, browser, skip=lambda configuration, _repeat: configuration.head.non_linearities == 0)
    page = served.page
    served.ready()
    grid = "select[data-sets^=facet][data-sets$='-0']"
    curves = f'[...document.querySelectorAll("#curves {grid} option")].map(o => o.textContent)'
    assert page.evaluate(curves) == ["MLP head, n = 1"]
    for configuration in served.study.configurations():
        if configuration.head.non_linearities == 0:
            served.study.begin(served.storage, configuration, 0)
            for repeat in range(3):
                served.study.write_final(served.storage, configuration, repeat, served.study.epochs)
    served.until(f"{curves}.length === 2")
    chosen = f"#curves {grid}"
    assert page.evaluate(f'document.querySelector("{chosen}").selectedOptions[0].textContent') == "MLP head, n = 1"
    page.locator("#curves").scroll_into_view_if_needed()
    page.select_option(chosen, label="linear probe")
    shown = "[...document.querySelectorAll('#curves .chart')].filter(chart => chart.offsetParent)"
    label = "chart.getAttribute('aria-label')"
    served.until(f"{shown}.some(chart => {label}.includes('linear probe') && chart.data?.length)")
    assert not page.evaluate(f"{shown}.some(chart => {label}.includes('configurations, MLP head'))")
    clicks = page.evaluate(
        "() => { const was = document.documentElement.dataset.theme;"
        " document.getElementById('theme').click(); return [was, document.documentElement.dataset.theme]; }"
    )
    assert clicks[0] != clicks[1], "one listener, not two that undo each other"
    assert served.loads == 1
    assert served.faults == []
    served.close()


def test_running_repeats_show_how_far_they_are(served: Served) -> None:
    page = served.page
    assert "No repeat is being trained" in page.inner_text("#now")
    first = served.study.configurations()[0]
    moment = datetime.now(UTC).isoformat(timespec="seconds")
    segment = segment_of(served.storage, first, 2)
    write_lease(served.storage, segment, 3, updated=moment)
    page.wait_for_selector("#now table")
    assert "3 of 6" in page.inner_text("#now tbody tr")
    loss = np.linspace([[0.7], [0.8]], [[0.3], [0.4]], 5)
    content = pack(
        {"group": {"repeats": [2], "configurations": [first.id]}},
        {"history.loss": loss, "history.statistics": np.zeros((5, 2, 1, 2, 2), np.int32)},
    )
    served.storage.create(f"{segment.attempt(1)}/e4.p0.b{len(content)}.checkpoint", content)
    page.wait_for_selector("#now polyline.valid")
    row = page.inner_text("#now tbody tr")
    assert "4 of 6" in row
    assert "0.400" in row
    assert page.locator("#now polyline.valid").get_attribute("points").count(",") == 5
    write_lease(served.storage, segment, 4, updated=moment, released=True)
    served.until("document.querySelector('#now').innerText.includes('No repeat is being trained')")
    assert served.faults == []


def test_a_study_without_results_begins_to_show_them(browser: Any, tmp_path: Path) -> None:
    hostile = '<img src=x onerror="window.hacked=1">'
    served = Served(tmp_path, browser, skip=lambda *_: True, backbones=(f"timm:{hostile}",), depths=((0, 0),))
    page = served.page
    served.ready()
    assert "0 of 12 repeats" in page.inner_text("#now .lede")
    write_lease(served.storage, segment_of(served.storage, served.study.configurations()[0], 0), 1, updated=now())
    page.wait_for_selector("#now tbody")
    assert hostile in page.inner_text("#now tbody")
    served.finish(0)
    page.wait_for_selector("#heat-maps .chart")
    assert page.evaluate("window.hacked") is None
    assert page.evaluate("document.querySelectorAll('img').length") == 0
    assert served.faults == []
    served.close()


def test_a_server_that_is_gone_is_told(served: Served) -> None:
    served.context.set_offline(True)
    served.until("document.querySelector('#now').innerText.includes('Not updated since')")
    assert served.loads == 1


class FewDrawn(DrawnStudy):
    drawn = 12


def test_narrowed_axes_stay_and_go_on_answering(browser: Any, tmp_path: Path) -> None:
    served = Served(tmp_path, browser, FewDrawn)
    page = served.page
    served.ready()
    chart = page.locator("#search .chart[data-axes]:visible").first
    chart.evaluate("chart => chart.scrollIntoView({block: 'center', behavior: 'instant'})")
    page.wait_for_selector("#search .brush .end")
    place = str(chart.get_attribute("data-axes")).split().index("lr")
    ends = page.locator("#search .brush").nth(place).locator(".end")
    ends.nth(0).press("ArrowUp")
    left = "document.querySelector('#search .left p').innerText"
    served.until(f"{left}.startsWith('11 of 12 configurations are left: learning rate')")
    served.finish(2)
    served.until(f"{left}.startsWith('11 of 12 configurations are left: learning rate')")
    ends.nth(1).press("ArrowDown")
    served.until(f"{left}.startsWith('10 of 12 configurations are left: learning rate')")
    section, *_, narrowed = page.evaluate("location.hash").split("&")
    assert (section, narrowed.partition("=")[0]) == ("#search", "axis-lr"), "between them what is shown, not the best"
    assert served.loads == 1
    assert served.faults == []
    served.close()
