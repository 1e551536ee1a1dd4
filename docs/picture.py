"""Makes docs/dashboard.png, the README's picture: two parts of a study's page, taken in headless Chromium.

orch search neuroblastoma inception_v3
.venv/bin/python docs/picture.py studies/neuroblastoma-demo/dashboard.html
.venv/bin/python docs/picture.py studies/hep2-demo/dashboard.html docs/study-hep2.png    # one of the gallery
"""

from __future__ import annotations

import io
import shutil
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

TARGET = Path(__file__).resolve().parent / "dashboard.png"
WIDTH = 1280
PARTS = (("header.masthead", "#answer table.best"), ("#curves h2", "#curves .chart"))
"""From the top of the first element to the bottom of the second, CSS pixels."""
MARGIN = 10
COLOURS = 128


def main(source: Path, target: Path = TARGET) -> None:
    browser_path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser_path is None:
        sys.exit("Chromium is needed and was not found: apt install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": WIDTH, "height": 900}, color_scheme="light")
        page.goto(source.resolve().as_uri())
        page.wait_for_selector("html[data-ready]")
        page.evaluate("orchPage.drawAll()")
        page.locator("#curves .chart:visible").first.scroll_into_view_if_needed()
        page.select_option('#curves select[data-sets="curve"]', "accuracy")
        page.wait_for_selector("html[data-ready]")
        page.evaluate("window.scrollTo(0, 0)")
        parts = [part(page, first, last) for first, last in PARTS]
        browser.close()
    picture = Image.new("RGB", (WIDTH, sum(image.height for image in parts)))
    top = 0
    for image in parts:
        picture.paste(image, (0, top))
        top += image.height
    picture.quantize(COLOURS).save(target, optimize=True)
    print(f"{target}: {picture.width} × {picture.height}, {target.stat().st_size:,} bytes")


def part(page: Page, first: str, last: str) -> Image.Image:
    """The page between two elements, over its whole width."""
    edges = [page.locator(f"{selector}:visible").first.bounding_box() for selector in (first, last)]
    if edges[0] is None or edges[1] is None:
        sys.exit(f"The page has no {first} or no {last}: is it that of a study with results?")
    scrolled = page.evaluate("window.scrollY")
    top = max(0.0, edges[0]["y"] + scrolled - MARGIN)
    height = edges[1]["y"] + scrolled + edges[1]["height"] - top
    shot = page.screenshot(full_page=True, clip={"x": 0, "y": top, "width": WIDTH, "height": height})
    return Image.open(io.BytesIO(shot)).convert("RGB")


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    main(*map(Path, sys.argv[1:]))
