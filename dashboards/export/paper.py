"""A figure of the page made ready for print: white paper, width of a column, readable type, a key of its own."""

from __future__ import annotations

import copy
import re
from typing import Any

from dashboards.figures.palette import PAPER, WIDE, Spec

PX_PER_MM = 96 / 25.4
COLUMN_MM, PAGE_MM = 85.0, 180.0
"""Widths that most journals set: one column, and the whole page for a grid of panels."""
SMALLEST_TYPE_PX = 9.3
"""7 points."""
KEY_LINE_PX, KEY_TYPE_PX, SIGN_PX = 19, 10, 60
CHARACTER_PX = 5.6
MOST_FOR_NAMES = 0.4
"""Of a column's width, beside a panel."""
_FONT = "Arial, Helvetica, 'Liberation Sans', sans-serif"
_AXIS = re.compile(r"[xy]axis\d*")


def for_paper(spec: Spec, width_mm: float | None = None) -> Spec:
    """A copy of a page's figure with `width` and `height` in pixels of 1/96 inch; the colours stay the same.

    width_mm: by default a column for one panel, the page for several and for panels beside long names.
    """
    made = copy.deepcopy(spec)
    layout, traces = made["layout"], made["data"]
    fits = (
        layout.get("meta") != WIDE
        and _columns(layout) < 2
        and _names_px(traces, layout) < MOST_FOR_NAMES * COLUMN_MM * PX_PER_MM
    )
    width = (width_mm or (COLUMN_MM if fits else PAGE_MM)) * PX_PER_MM
    _enlarge_type(made)
    _exchange(made, PAPER, "#ffffff")
    layout["font"] = {**layout.get("font", {}), "family": _FONT}
    layout["dragmode"] = False
    lines = _key(traces, layout, width)
    margin = {"l": 56, "r": 12, "t": 14, "b": 44, **layout.get("margin", {})}
    margin["t"] += lines * KEY_LINE_PX
    layout |= {"margin": margin, "width": round(width), "height": round(layout["height"] + lines * KEY_LINE_PX)}
    return made


def _columns(layout: Spec) -> int:
    """Panels side by side: different stretches of the figure's width that an axis covers."""
    stretches = {
        tuple(round(float(end), 2) for end in layout[name].get("domain", (0, 1)))
        for name in layout
        if _AXIS.fullmatch(name) and name.startswith("x")
    }
    return len(stretches)


def _names_px(traces: list[Spec], layout: Spec) -> float:
    """About how wide the names beside the vertical axes are; they may have several lines."""
    texts: list[object] = [text for name, axis in layout.items() if name.startswith("yaxis") for text in _ticks(axis)]
    texts += [value for trace in traces for value in _plain(trace.get("y")) if isinstance(value, str)]
    lines = [line for text in texts for line in re.split(r"<br ?/?>", str(text))]
    return CHARACTER_PX * max((len(re.sub(r"<[^>]*>", "", line)) for line in lines), default=0)


def _ticks(axis: Spec) -> list[object]:
    return [*_plain(axis.get("ticktext")), *(v for v in _plain(axis.get("categoryarray")) if isinstance(v, str))]


def _plain(values: Any) -> list[object]:
    return [] if values is None or isinstance(values, str) else list(values)


def _key(traces: list[Spec], layout: Spec, width: float) -> int:
    """Name the traces above the figure, each name once, where the figure has no key of its own; lines it takes."""
    if layout.get("showlegend"):
        return 0
    names: list[str] = []
    for trace in traces:
        name = str(trace.get("name") or "")
        is_shown = bool(name) and trace.get("type", "scatter") in ("scatter", "bar", "box", "violin")
        trace["showlegend"] = is_shown and name not in names
        if is_shown:
            names += [name] if name not in names else []
    if len(names) < 2:
        for trace in traces:
            trace["showlegend"] = False
        return 0
    layout["showlegend"] = True
    layout["legend"] = {
        "orientation": "h",
        "x": 0.02,
        "xref": "container",
        "y": 1,
        "yref": "container",
        "yanchor": "top",
        "font": {"size": KEY_TYPE_PX},
        "bgcolor": "rgba(0,0,0,0)",
        "itemsizing": "constant",
    }
    widths = [SIGN_PX + 0.6 * KEY_TYPE_PX * len(name) for name in names]
    # plotly breaks a key that is too wide into columns as wide as its widest name
    columns = len(names) if sum(widths) < width else max(1, int(0.9 * width / max(widths)))
    return -(-len(names) // columns)


def _enlarge_type(value: Any) -> None:
    """Raise every font below the smallest that is readable in print, wherever it stands in the figure."""
    if isinstance(value, dict):
        for key, item in value.items():
            if key.endswith("font") and isinstance(item, dict) and isinstance(item.get("size"), (int, float)):
                item["size"] = max(float(item["size"]), SMALLEST_TYPE_PX)
            _enlarge_type(item)
    elif isinstance(value, list):
        for item in value:
            _enlarge_type(item)


def _exchange(value: Any, old: str, new: str) -> None:
    """Another colour in place of one, everywhere."""
    if isinstance(value, dict):
        for key, item in value.items():
            if isinstance(item, str) and item == old:
                value[key] = new
            else:
                _exchange(item, old, new)
    elif isinstance(value, list):
        for place, item in enumerate(value):
            if isinstance(item, str) and item == old:
                value[place] = new
            else:
                _exchange(item, old, new)
