"""A chart in the page: its variants, its data as a table, and the compressed form in which they travel."""

from __future__ import annotations

import base64
import gzip
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dashboards.markup import plot_text, text
from dashboards.palette import Spec

_DIGITS = 4
"""Significant digits of numbers in figures, of the largest in an array: finer than a pixel."""


@dataclass(frozen=True)
class Variant:
    """One state of a chart: the figure, what a screen reader says, and the data as columns and rows.

    Without `rows` the page's script takes them, and the bands, from the figure's lines (see `curves.curve_variant`).
    """

    spec: Spec
    label: str
    columns: Sequence[str]
    rows: Sequence[Sequence[object]] | None


class Charts:
    """Collects the charts of one page; ids are counted, so no name from a file ends up in one."""

    def __init__(self, study: str) -> None:
        self._study = study
        self._payloads: list[str] = []

    def add(self, variants: Mapping[str, Variant], control: str = "", min_width: int = 0, title: str = "") -> str:
        """Return the charts HTML; `control` names the page control whose value picks the variant.

        `title` goes, after the study's name, into a figure that is saved. `min_width` in pixels: on a narrower screen
        the chart scrolls sideways instead of shrinking.
        """
        number = len(self._payloads)
        self._payloads.append(encode({key: variant.__dict__ for key, variant in variants.items()}))
        first = next(iter(variants.values()))
        height = int(first.spec["layout"]["height"])
        return (
            f'<div class="frame"><div class="scroll" tabindex="0" role="group" aria-label="Chart">'
            f'<div class="chart" id="chart-{number}" role="img" aria-label="{text(first.label)}" '
            f'data-payload="payload-{number}" data-control="{text(control)}" data-name="figure-{number + 1}" '
            f'data-title="{text(f"{plot_text(self._study)}<br>{plot_text(title)}")}" '
            f'style="height:{height}px;min-width:{min_width}px"></div></div>'
            f'<div class="actions"><details class="data" data-chart="chart-{number}"><summary>Data</summary></details>'
            f'<button type="button" data-svg="chart-{number}">SVG</button>'
            f'<button type="button" data-csv="chart-{number}">CSV</button></div></div>'
        )

    def payloads(self) -> str:
        """The script elements that hold the data. Base64 has no "<", so nothing in them can end the element."""
        return "\n".join(
            f'<script type="application/gzip" id="payload-{number}">{payload}</script>'
            for number, payload in enumerate(self._payloads)
        )


def encode(value: object) -> str:
    """JSON, gzip, base64; numbers that are not finite become null; the same value always gives the same text."""
    content = json.dumps(plain(value), separators=(",", ":"), allow_nan=False).encode()
    return base64.b64encode(gzip.compress(content, compresslevel=6, mtime=0)).decode()


def plain(value: Any) -> Any:
    """Arrays to lists, floats to a few digits, NaN and infinities to None."""
    if isinstance(value, np.ndarray):
        return _rounded(value)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, (bool, int, str)) or value is None:
        return value
    if isinstance(value, np.integer):
        return int(value)
    value = float(value)
    return float(f"{value:.{_DIGITS}g}") if math.isfinite(value) else None


def _rounded(values: np.ndarray) -> list[Any]:
    """All values of an array with as many decimals as its largest needs for the digits."""
    if values.dtype.kind != "f":
        return list(plain(values.tolist()))
    finite = np.isfinite(values)
    largest = float(np.abs(values[finite]).max(initial=0.0))
    decimals = _DIGITS if largest == 0 else _DIGITS - math.floor(math.log10(largest))
    rounded = np.round(values, decimals)
    if not finite.all():
        rounded = rounded.astype(object)
        rounded[~finite] = None
    return list(rounded.tolist())
