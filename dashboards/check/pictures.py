"""Small pictures on the page of a check: each read when it is shown, never more than a number and a budget allow."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from dashboards.figures.markup import text
from dashboards.page.sample_images import BUDGET, thumbnail

MOST = 360
"""Pictures of a page at most."""

Reader = Callable[[str], NDArray[np.uint8]]
"""A file's pixels, uint8 [H, W, 3]; raises where it is not there any more."""


class Pictures:
    """Hands out img elements while there is room; the same file is read once."""

    def __init__(self, read: Reader, most: int = MOST, budget: int = BUDGET) -> None:
        self._read = read
        self._left = most
        self._budget = budget
        self._known: dict[str, str] = {}
        self.shown = 0
        self.left_out = 0

    def strip(self, items: Sequence[tuple[Sequence[str], str, Sequence[str]]], kind: str = "strip") -> str:
        """Pictures in a row, each with lines below it. items: (files of one case, alt text, lines)."""
        cases = []
        for files, alt, lines in items:
            pictures = "".join(f"<i>{self._picture(file, alt)}</i>" for file in files)
            cases.append(f"<li>{pictures}{''.join(f'<span>{text(line)}</span>' for line in lines)}</li>")
        return f'<ul class="{kind}">{"".join(cases)}</ul>' if cases else ""

    def _picture(self, file: str, alt: str) -> str:
        source = self._source(file)
        if not source:
            return '<span class="gone">not shown</span>'
        if self._left < 1 or len(source) > self._budget:
            self.left_out += 1
            return '<span class="gone">left out</span>'
        self._left -= 1
        self._budget -= len(source)
        self.shown += 1
        return f'<img src="{source}" alt="{text(alt)}">'

    def _source(self, file: str) -> str:
        if file not in self._known and self._left > 0:
            try:
                self._known[file] = thumbnail(self._read(file))
            except Exception:  # decoders meet hostile bytes; an image that cannot be had is no fault of the page
                self._known[file] = ""
        return self._known.get(file, "")
