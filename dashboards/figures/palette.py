"""Colours of the figures, light and dark, and the layout they share.

Figures are drawn in the light colours; the page's script exchanges each for its dark counterpart. Train and valid are
blue and vermilion after Okabe and Ito (2008), apart for every common colour blindness, and differ in dash as well. The
heat scale is ordered by lightness alone. Series that are told apart by colour have a dash or a mark of their own too.
"""

from __future__ import annotations

from typing import Any

from search_spaces.presets import PRESETS

Spec = dict[str, Any]
"""A plotly figure as plain data ("data", "layout"); plotly.graph_objects.Figure(spec) is the same as an object."""

INK = "#1d2329"
MUTED = "#59636e"
RULE = "#e4dfd5"
PAPER = "#fdfcf9"
TRAIN = "#2a6a9c"
VALID = "#bd4f14"
TRAIN_BAND = "rgba(42,106,156,0.18)"
VALID_BAND = "rgba(189,79,20,0.18)"
UNTRAINED = "#6f7780"
UNTRAINED_BAND = "rgba(111,119,128,0.16)"
HEAT = ("#f3eee2", "#d5dfd8", "#a5c4c6", "#6a9db4", "#39729b", "#1c4775")
SERIES = (TRAIN, VALID, "#1b7a58", "#85509a", "#7d6400", "#b8397a", "#0d7787", "#545d68")
DASHES = ("solid", "dash", "dot", "dashdot", "longdash")
STRATEGY_MARKS = {name: preset.mark for name, preset in PRESETS.items()}
STRATEGY_COLOURS = {name: SERIES[preset.colour] for name, preset in PRESETS.items()}

DARK: dict[str, str] = {
    INK: "#e9e5dc",
    MUTED: "#a3abb4",
    RULE: "#2f353c",
    PAPER: "#14171b",
    TRAIN: "#70b4e3",
    VALID: "#f2975c",
    TRAIN_BAND: "rgba(112,180,227,0.20)",
    VALID_BAND: "rgba(242,151,92,0.20)",
    UNTRAINED: "#98a0a9",
    UNTRAINED_BAND: "rgba(152,160,169,0.18)",
    **dict(zip(HEAT, ("#222930", "#25404e", "#2c617a", "#4289a0", "#7ebabb", "#d6ead2"), strict=True)),
    **dict(zip(SERIES[2:], ("#5cc79d", "#c89bdc", "#d6b548", "#f08bb8", "#58c2d4", "#aab2bd"), strict=True)),
}

WIDE = "wide"
"""The `meta` of a layout that needs a page's width in print, though it is one panel."""

FONT = "-apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
SPLIT_COLOURS = {"train": (TRAIN, TRAIN_BAND, "dot"), "valid": (VALID, VALID_BAND, "solid")}


def series_style(place: int) -> Spec:
    """Colour and dash of the `place`-th of many lines; no two of the first forty are alike."""
    return {"color": SERIES[place % len(SERIES)], "dash": DASHES[(place // len(SERIES) + place) % len(DASHES)]}


def axis(**changes: Any) -> Spec:
    """A quiet axis: thin rule, small ticks, no zero line."""
    return {
        "color": MUTED,
        "gridcolor": RULE,
        "linecolor": RULE,
        "zeroline": False,
        "ticks": "",
        "automargin": True,
        "tickfont": {"size": 11},
        **changes,
        "title": {"font": {"size": 12}, **changes.get("title", {})},
    }


def layout(height: int, **changes: Any) -> Spec:
    """The layout that all figures start from; `height` in pixels."""
    return {
        "height": height,
        "margin": {"l": 56, "r": 12, "t": 14, "b": 44},
        "paper_bgcolor": PAPER,
        "plot_bgcolor": PAPER,
        "font": {"family": FONT, "size": 12, "color": INK},
        "hoverlabel": {"bgcolor": PAPER, "bordercolor": MUTED, "font": {"color": INK, "size": 12}, "align": "left"},
        "showlegend": False,
        "dragmode": False,
        "uirevision": "kept",
        **changes,
    }


def legend(**changes: Any) -> Spec:
    """Names of the series in a row above the drawing."""
    return {"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom", "font": {"size": 12}, **changes}
