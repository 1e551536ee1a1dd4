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

_UNTIL = """async (given) => {
  const deadline = performance.now() + 30000;
  for (;;) {
    const value = (%s)(given);
    if (value) return value;
    if (performance.now() > deadline) return null;
    await new Promise(done => setTimeout(done, 20));
  }
}"""


def until(page: Any, condition: str, given: object = None) -> Any:
    """What a script's function of `given` says once that is true.

    Playwright's own way of waiting is eval, which the page's policy refuses. The half minute is for a busy machine.
    """
    found = page.evaluate(_UNTIL % condition, given)
    assert found, f"did not come true: {condition} of {given!r}"
    return found


class Opened:
    """A page with everything that went wrong or out while it was open."""

    def __init__(self, browser: Any, path: Path, said: str = "", **context: Any) -> None:
        """said: of the address, "#search&picked=3f2a"."""
        self.faults: list[str] = []
        self.page = browser.new_context(**context).new_page()
        self.page.on("console", lambda message: self.faults.append(message.text))
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("request", lambda request: self._asked(request.url, path))
        self.page.goto(f"{path.as_uri()}{said}")
        self.ready()

    def _asked(self, url: str, path: Path) -> None:
        if url != path.as_uri() and not url.startswith(("blob:", "data:")):
            self.faults.append(f"asked for {url}")

    def ready(self) -> None:
        """Until what is in or near view shows what was chosen."""
        self.page.wait_for_selector("html[data-ready]", timeout=60_000)

    def until(self, condition: str, given: object = None) -> Any:
        return until(self.page, condition, given)

    def traces(self, chart: int) -> list[dict[str, Any]]:
        """What plotly holds of a chart."""
        script = "id => document.getElementById(id).data.map(t => JSON.parse(JSON.stringify({...t, z: t.z, y: t.y})))"
        return list(self.page.evaluate(script, f"chart-{chart}"))

    def first(self, section: str) -> int:
        """Number of the first visible chart of a section."""
        found = self.page.locator(f"#{section} .chart:visible").first.get_attribute("id")
        return int(str(found).removeprefix("chart-"))

    def show(self, section: str) -> int:
        """Scroll to the first visible chart of a section, and wait until it is drawn; its number."""
        number = self.first(section)
        chart = self.page.locator(f"#chart-{number}")
        chart.evaluate("chart => chart.scrollIntoView({block: 'center', behavior: 'instant'})")
        self.page.wait_for_selector(f"#chart-{number}[data-settled]", timeout=60_000)
        return number

    def choose(self, name: str, value: str) -> None:
        self.page.select_option(f'select[data-sets="{name}"]:visible', value)
        self.ready()
