"""Patches rejected in a real browser, by click and by key: what is seen, what is stored, what is taken back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dashboards.patches.server import PatchServer
from orchestrator.patches.verdicts import verdicts_of
from tests.support.cut_fields import cut_fields, shown
from tests.support.opened_page import pytestmark, until  # noqa: F401  # where it can run


class Desk:
    """Somebody at the page of a folder of patches."""

    def __init__(self, browser: Any, server: PatchServer, folder: Path, **context: Any) -> None:
        self.folder, self.server = folder, server
        self.faults: list[str] = []
        self.context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **context})
        self.page = self.context.new_page()
        self.page.on("console", lambda message: self.faults.append(message.text))
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("request", lambda request: self._asked(request.url))
        self.page.goto(server.url)
        self.page.wait_for_selector("html[data-ready]")

    def _asked(self, url: str) -> None:
        if not url.startswith((self.server.url.partition("?")[0], "data:")):
            self.faults.append(f"asked for {url}")

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def until_counts(self, text: str) -> None:
        until(self.page, "text => document.getElementById('counts').innerText.includes(text)", text)

    @property
    def rejected(self) -> set[str]:
        return {file for file, verdict in verdicts_of(self.folder).items() if verdict.is_rejected}

    @property
    def shown_rejected(self) -> list[str]:
        script = "all => all.map(one => one.dataset.id)"
        found: list[str] = self.page.eval_on_selector_all(".patch[aria-pressed=true]", script)
        return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return cut_fields(tmp_path)


@pytest.fixture
def desk(browser: Any, folder: Path) -> Iterator[Desk]:
    with shown(folder) as server:
        opened = Desk(browser, server, folder)
        yield opened
        opened.context.close()


def test_a_click_rejects_and_another_takes_it_back(desk: Desk) -> None:
    assert "token" not in desk.page.url
    assert desk.page.locator(".patch").count() == 11
    assert desk.page.locator(".background").count() == 1
    desk.page.locator(".patch").nth(4).click()
    desk.until_counts("65 of 66 patches used, 1 rejected")
    assert desk.shown_rejected == ["4"]
    assert desk.rejected == {desk.server.review.files[4]}  # type: ignore[attr-defined]
    assert "Rejected by Ada" in desk.page.inner_text("#facts")
    desk.page.locator(".patch").nth(4).click()
    desk.until_counts("66 of 66 patches used, 0 rejected")
    assert desk.rejected == set()
    desk.page.locator(".patch").nth(6).focus()
    desk.press("x")
    desk.until_counts("used, 1 rejected")
    assert desk.shown_rejected == ["6"], "what is focused is what keys are about"
    assert desk.faults == []


def test_keys_reject_keep_move_turn_and_undo(desk: Desk) -> None:
    files = desk.server.review.files  # type: ignore[attr-defined]
    desk.press("x")
    desk.until_counts("used, 1 rejected")
    desk.press("ArrowRight", "Space")
    desk.until_counts("used, 2 rejected")
    desk.press("ArrowDown", "k", "n")
    desk.until_counts("Image 2 of 6")
    desk.press("x")
    desk.until_counts("used, 3 rejected")
    assert desk.rejected == {files[0], files[1], files[11]}
    assert [file for file, verdict in verdicts_of(desk.folder).items() if not verdict.is_rejected] == [files[5]]
    desk.press("u")
    desk.until_counts("used, 2 rejected")
    desk.press("u")
    desk.until_counts("Image 1 of 6")
    desk.press("Control+z")
    desk.until_counts("used, 1 rejected")
    desk.press("u")
    desk.until_counts("used, 0 rejected")
    until(desk.page, "() => document.getElementById('undo').disabled")
    assert verdicts_of(desk.folder) == {}
    assert desk.faults == []


def test_marked_patches_are_found_and_rejected_together_only_when_asked(browser: Any, folder: Path) -> None:
    with shown(folder) as server:
        review: Any = server.review
        for patch in (review.record["sources"][2]["patches"][3], review.record["sources"][2]["patches"][6]):
            patch["tissue"] = 0.02
        desk = Desk(browser, server, folder)
        assert desk.rejected == set()
        before = review.counts()["suggested"]
        desk.page.select_option("#fields", "2")
        marked = desk.page.locator(".hinted").count()
        assert marked >= 2
        desk.page.click("#reject-marked")
        desk.until_counts(f"used, {marked} rejected, {before - marked} marked and not decided")
        desk.page.click("#undo")
        desk.until_counts(f"used, 0 rejected, {before} marked")
        desk.page.select_option("#fields", "0")
        desk.press("Tab")
        desk.page.click("#marked")
        assert desk.page.locator(".hinted[tabindex='0']").count() == 1
        assert desk.faults == []
        desk.context.close()


def test_the_next_person_sees_who_rejected_what(browser: Any, folder: Path) -> None:
    with shown(folder, "Ada") as server:
        first = Desk(browser, server, folder)
        first.press("x")
        first.until_counts("used, 1 rejected")
        first.context.close()
    with shown(folder, "Grace <b>") as server:
        second = Desk(browser, server, folder)
        assert second.shown_rejected == ["0"]
        assert "Rejected by Ada" in second.page.inner_text("#facts")
        assert "You are Grace <b>." in second.page.inner_text("#counts")
        second.press("k")
        second.until_counts("used, 0 rejected")
        assert "Kept by Grace <b>" in second.page.inner_text("#facts")
        assert second.faults == []
        second.context.close()


def test_a_server_that_is_gone_is_told(desk: Desk) -> None:
    desk.context.set_offline(True)
    desk.press("x")
    until(desk.page, "() => document.getElementById('trouble').innerText.startsWith('Not stored')")
    assert desk.shown_rejected == []
    assert desk.rejected == set()
    desk.context.set_offline(False)
    desk.press("x")
    desk.until_counts("used, 1 rejected")
    assert desk.page.inner_text("#trouble") == ""


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_axe_finds_no_fault(browser: Any, folder: Path, width: int, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    with shown(folder) as server:
        view = {"width": width, "height": 800}
        desk = Desk(browser, server, folder, viewport=view, color_scheme=scheme, bypass_csp=True)
        desk.press("x", "ArrowRight", "k")
        desk.until_counts("used, 1 rejected")
        assert desk.page.evaluate("document.documentElement.scrollWidth") <= width
        found = axe.run(desk.page)
        assert found.violations_count == 0, found.generate_report()
        desk.context.close()
