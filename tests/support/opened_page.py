"""A page opened in a real browser, with everything that went wrong or out while it was open, and where it can be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"]

pytestmark = [
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"needs {CHROMIUM}"),
    pytest.mark.filterwarnings("default::DeprecationWarning"),
    pytest.mark.filterwarnings("default::ResourceWarning"),
]


class Opened:
    """A page with everything that went wrong or out while it was open."""

    def __init__(self, browser: Any, path: Path, **context: Any) -> None:
        self.faults: list[str] = []
        self.page = browser.new_context(**context).new_page()
        self.page.on("console", lambda message: self.faults.append(message.text))
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("request", lambda request: self._asked(request.url, path))
        self.page.goto(path.as_uri())
        self.page.wait_for_selector("html[data-ready]", timeout=30_000)

    def _asked(self, url: str, path: Path) -> None:
        if url != path.as_uri() and not url.startswith(("blob:", "data:")):
            self.faults.append(f"asked for {url}")

    def traces(self, chart: int) -> list[dict[str, Any]]:
        """What plotly holds of a chart."""
        script = "id => document.getElementById(id).data.map(t => JSON.parse(JSON.stringify({...t, z: t.z, y: t.y})))"
        return list(self.page.evaluate(script, f"chart-{chart}"))

    def first(self, section: str) -> int:
        """Number of the first visible chart of a section."""
        found = self.page.locator(f"#{section} .chart:visible").first.get_attribute("id")
        return int(str(found).removeprefix("chart-"))

    def choose(self, name: str, value: str) -> None:
        self.page.select_option(f'select[data-sets="{name}"]:visible', value)
        self.page.wait_for_timeout(300)
        self.page.wait_for_selector(".picture", state="detached")
