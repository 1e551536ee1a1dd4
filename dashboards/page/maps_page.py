"""A page of `orch maps`: each image, the mean map over it, where repeats deviate, and the map of each repeat."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dashboards.figures.markup import text
from dashboards.page.chart import Charts
from dashboards.page.page import document
from dashboards.page.sample_images import thumbnail

Pixels = NDArray[np.uint8]
LARGE, SMALL = 192, 96
"""Longest sides, pixels: of the image, its mean map and its deviation; of each repeat."""
WHOLE = 3
"""Times as long for what is put together of many patches."""
_STYLE = (
    ".maps{list-style:none;padding:0;display:flex;flex-wrap:wrap;gap:.5rem;align-items:flex-end}"
    ".maps li{display:flex;flex-direction:column;font-size:.8rem}.maps li img{display:block;max-width:100%}"
)


@dataclass(frozen=True)
class Card:
    """One image: its heading, lines below it, and pictures uint8 [H, W, 3], large ones and one of each repeat.
    is_whole: whether it is put together of many patches."""

    heading: str
    lines: tuple[str, ...]
    large: tuple[tuple[str, Pixels], ...]
    repeats: tuple[tuple[str, Pixels], ...]
    is_whole: bool = False


def maps_page(title: str, said: Sequence[str], parts: Sequence[tuple[str, Sequence[Card]]]) -> str:
    """A self-contained page. said: what the maps are of, one paragraph each. parts: a heading and its images."""
    paragraphs = "".join(f"<p>{text(line)}</p>" for line in said)
    sections = "".join(
        f"<section><h2>{text(heading)}</h2>{''.join(map(_card, cards))}</section>" for heading, cards in parts
    )
    body = f'<header class="masthead"><h1>{text(title)}</h1>{paragraphs}</header><main id="main">{sections}</main>'
    return document(f"{title}: maps", body, Charts(title), _STYLE)


def _card(card: Card) -> str:
    lines = "".join(f'<p class="note">{text(line)}</p>' for line in card.lines)
    times = WHOLE if card.is_whole else 1
    large, small = (_strip(card.heading, card.large, LARGE * times), _strip(card.heading, card.repeats, SMALL * times))
    return f"<h3>{text(card.heading)}</h3>{lines}{large}{small}"


def _strip(heading: str, pictures: Sequence[tuple[str, Pixels]], side: int) -> str:
    items = [
        f'<li><img src="{thumbnail(pixels, side)}" alt="{text(f"{heading}: {name}")}"><span>{text(name)}</span></li>'
        for name, pixels in pictures
    ]
    return f'<ul class="maps">{"".join(items)}</ul>' if items else ""
