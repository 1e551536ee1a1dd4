"""Maps as drawings for a paper: the image as it is, the map as a layer of its own over it, and words that stay text."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from html import escape
from pathlib import Path

import numpy as np

from orchestrator.maps.drawn import FULL_DEVIATION, Pixels, coloured, deviation_picture, veil
from orchestrator.maps.explained import Made
from orchestrator.maps.items import Item, drawn, items
from orchestrator.maps.report import said_of, shown
from orchestrator.maps.written import png
from orchestrator.store.storage import LocalStorage

SIDE, WHOLE = 240, 480
"""Longest side of a panel, in the drawing's units (pixels at 100 %): of an image, of what is put together of many."""
_GAP, _HEAD, _FOOT, _BAR = 24, 44, 52, 10
_STYLE = "text{font:12px Arial,Helvetica,sans-serif;fill:#1d2329}.head{font-weight:bold;font-size:14px}"


def write_svgs(folder: Path, made: Made, with_names: bool) -> list[str]:
    """An SVG file of each image or source, "image 07.svg". Returns the files' names, which hold none of the study's."""
    storage, names = LocalStorage(folder), []
    for item in items(made.explained):
        names.append(f"{item.image.called}.svg")
        storage.replace(names[-1], drawing(made, item, with_names).encode())
    return names


def drawing(made: Made, item: Item, with_names: bool) -> str:
    """The image, the mean map over it, and of several repeats their deviation, side by side with their scales."""
    explained, image = made.explained, item.image
    plain = drawn(made, item, lambda place, pixels: pixels)
    over = drawn(made, item, lambda place, pixels: veil(explained.mean[place], len(pixels)))
    count, deviation = len(explained.repeats), explained.deviation
    panels = [("image", [plain], None), (f"mean map, {count} repeats" if count > 1 else "map", [plain, over], 1.0)]
    if deviation is not None:
        alone = drawn(made, item, lambda place, pixels: deviation_picture(deviation[place], len(pixels)))
        panels.append(("deviation over repeats", [alone], FULL_DEVIATION))
    scale = (SIDE if item.source is None else WHOLE) / max(plain.shape[:2])
    height, width = (side * scale for side in plain.shape[:2])
    whose = f", map of {image.target}" if explained.explains else ""
    head = f"{image.file if with_names else image.called}: {explained.method}{whose}"
    said = said_of(image) + (f"; agreement between repeats {shown(item.agreement)}" if count > 1 else "")
    parts = [_text(0, 14, head, "head"), _text(0, 32, said)]
    for place, (name, layers, most) in enumerate(panels):
        parts += _panel(place * (width + _GAP), width, height, name, layers, most)
    # Words are wider than one small panel: the drawing is as wide as its words need, about 7 units a letter
    across = max(len(panels) * (width + _GAP) - _GAP, 8 * len(head), 7 * len(said))
    size = f'width="{across:.0f}" height="{_HEAD + height + _FOOT:.0f}"'
    box = f'viewBox="0 0 {across:.0f} {_HEAD + height + _FOOT:.0f}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} {box}><style>{_STYLE}</style>{"".join(parts)}</svg>\n'


def _panel(
    left: float, width: float, height: float, name: str, layers: list[Pixels], most: float | None
) -> Iterator[str]:
    """most: what the lightest colour stands for; None of an image."""
    for pixels in layers:
        yield _image(left, _HEAD, width, height, pixels)
    yield _text(left, _HEAD + height + 16, name)
    if most is not None:
        scale = coloured(np.linspace(0, 1, 64)[None])
        yield _image(left, _HEAD + height + 24, width, _BAR, scale)
        yield _text(left, _HEAD + height + 24 + _BAR + 13, "0")
        yield _text(left + width, _HEAD + height + 24 + _BAR + 13, f"{most:g}", anchor="end")


def _image(left: float, top: float, width: float, height: float, pixels: Pixels) -> str:
    place = f'x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{height:.1f}" preserveAspectRatio="none"'
    return f'<image {place} href="data:image/png;base64,{base64.b64encode(png(pixels)).decode()}"/>'


def _text(left: float, top: float, words: str, kind: str = "", anchor: str = "start") -> str:
    named = f' class="{kind}"' if kind else ""
    return f'<text{named} x="{left:.1f}" y="{top:.1f}" text-anchor="{anchor}">{escape(words)}</text>'
