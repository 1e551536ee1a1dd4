"""How soon the page answers: the pages of a study of 1,000 repeats and of one of 12,500 in Chromium.

Every kind of control is changed once in each round, with the section in view that it is for. A row is the time from the
change until every chart in view is drawn as chosen and the next frame is painted; `work` is what the page's main thread
computed meanwhile, which other programs on the machine disturb less. Writing the page is a process of its own.

PYTHONPATH=. .venv/bin/python benchmarks/page.py
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright
from table import REPOSITORY, Table, arguments, progress

from tests.support.reference_study import NAME, write_reference_study

SIZES = {"1,000 repeats": (2, 2), "12,500 repeats": (10, 5)}
"""Backbones and depths."""
WRITE = """
import json, resource, sys, time
started = time.perf_counter()
from orchestrator.command_line import main
study, folder, path = sys.argv[1:]
main(["dashboard", study, "--studies", folder, "--output", path], standalone_mode=False)
memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps([time.perf_counter() - started, memory]))
"""
CONTROLS = (
    ("heat maps: another score", "heat-maps", "select[data-sets=heat]"),
    ("heat maps: another statistic", "heat-maps", "select[data-sets=of]"),
    ("curves: another score", "curves", "select[data-sets=curve]"),
    ("curves: loss and accuracy on two axes", "curves", "select[data-sets=curve]=loss_and_accuracy"),
    ("curves: another facet", "curves", "select[data-sets^=facet-]"),
    ("curves: other rows and columns", "curves", "select[data-sets=pair-curves]"),
    ("heat maps: other rows and columns", "heat-maps", "select[data-sets=pair-heat-map]"),
    ("curves: single repeats", "curves", "select[data-sets^=one-]"),
    ("depth: another score", "depth", "select[data-sets=score]"),
    ("spread: another score", "spread", "select[data-sets=spread]"),
    ("heat maps: another backbone", "heat-maps", "select[data-sets=backbone]"),
    ("curves: another backbone", "curves", "select[data-sets=backbone]"),
    ("spread: another backbone", "spread", "select[data-sets=backbone]"),
    ("curves: another theme", "curves", "#theme"),
    ("depth: another theme", "depth", "#theme"),
)
"""What is changed, the section in view, and the control; a choice goes one on, unless its value is named."""
FIRST_VIEW = """() => new Promise(done => {
  const look = () => window.orchPage && performance.getEntriesByName("first-contentful-paint").length
    ? done(performance.now()) : setTimeout(look, 5);
  look();
})"""
CHANGE = """([selector, value]) => new Promise(done => {
  const control = [...document.querySelectorAll(selector)].find(one => one.offsetParent);
  const inView = () => [...document.querySelectorAll(".chart")].filter(chart => {
    const box = chart.getBoundingClientRect();
    return chart.offsetParent && box.bottom > 0 && box.top < innerHeight;
  });
  const started = performance.now();
  if (control.options) {
    if (value) control.value = value;
    else control.selectedIndex = (control.selectedIndex + 1) % control.options.length;
    control.dispatchEvent(new Event("change"));
  } else control.click();
  const look = () => inView().every(chart => chart.dataset.settled)
    ? requestAnimationFrame(() => setTimeout(() => done(performance.now() - started))) : setTimeout(look, 2);
  look();
})"""


@dataclass
class Measured:
    """One page: MB, s and MB of writing it, ms of the first view, and per control the (elapsed, work) of each round."""

    size: float
    seconds: float
    memory: float
    first: float = 0.0
    controls: dict[str, list[tuple[float, float]]] = field(default_factory=dict)


def main() -> None:
    given = parse()
    measured = {name: measure(name, *size, given) for name, size in SIZES.items() if not given.quick or size[0] < 10}
    columns = [f"{name}, {what}" for name in measured for what in ("ms", "work ms")]
    table = Table("The page's controls", ("control", *columns))
    for control, _, _ in CONTROLS:
        pairs = [zip(*one.controls[control], strict=True) for one in measured.values()]
        table.add(control, *(statistics.median(each) for pair in pairs for each in pair))
    for name, one in measured.items():
        table.notes.append(
            f"{name}: page of {one.size:.1f} MB, written in {one.seconds:.1f} s with {one.memory:.0f} MB of memory; "
            f"first view after {one.first:.0f} ms."
        )
    table.notes.append(f"Medians of {given.rounds} rounds; window of 1280 × 900 pixels.")
    table.show()
    table.write_json(given.json)


def parse() -> argparse.Namespace:
    return arguments(__doc__ or "", rounds=3).parse_args()


def measure(name: str, backbones: int, depths: int, given: argparse.Namespace) -> Measured:
    """Write the study and its page, then open that in a browser."""
    with tempfile.TemporaryDirectory() as folder:
        progress(f"{name}: writing the study")
        write_reference_study(Path(folder), backbones, depths)
        page = Path(folder) / "page.html"
        command = [sys.executable, "-c", WRITE, NAME, folder, str(page)]
        run = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
        seconds, memory = json.loads(run.stdout.splitlines()[-1])
        measured = Measured(page.stat().st_size / 1e6, seconds, memory)
        progress(f"{name}: page of {measured.size:.1f} MB written in {seconds:.1f} s")
        look(page, measured, 1 if given.quick else given.rounds)
    return measured


def look(path: Path, measured: Measured, rounds: int) -> None:
    browser_path = shutil.which("chromium") or shutil.which("google-chrome")
    if browser_path is None:
        sys.exit("Chromium is needed and was not found: apt install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(path.as_uri(), wait_until="commit")
        measured.first = page.evaluate(FIRST_VIEW)
        page.wait_for_selector("html[data-ready]", timeout=120_000)
        session = page.context.new_cdp_session(page)
        session.send("Performance.enable", {"timeDomain": "threadTicks"})
        for number in range(rounds):
            for control, section, selector in CONTROLS:
                pair = answer(page, session, section, selector)
                measured.controls.setdefault(control, []).append(pair)
                progress(f"round {number + 1} of {rounds}, {control}: {pair[0]:.0f} ms, work {pair[1]:.0f} ms")
        browser.close()


def answer(page: Page, session: Any, section: str, selector: str) -> tuple[float, float]:
    """Milliseconds until all charts in view are drawn as chosen, and of the main thread's work."""
    chart = page.locator(f"#{section} .chart:visible").first
    chart.evaluate("chart => chart.scrollIntoView({block: 'center', behavior: 'instant'})")
    page.wait_for_timeout(300)  # the browser tells of what came into view
    page.wait_for_selector("html[data-ready]")
    name, _, value = selector.partition("]=")
    before = _work_ms(session)
    elapsed = page.evaluate(CHANGE, [f"{name}]" if value else selector, value])
    return float(elapsed), _work_ms(session) - before


def _work_ms(session: Any) -> float:
    metrics = session.send("Performance.getMetrics")["metrics"]
    return 1000 * next(float(metric["value"]) for metric in metrics if metric["name"] == "TaskDuration")


if __name__ == "__main__":
    main()
