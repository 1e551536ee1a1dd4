"""The page's style sheet: one column of text and figures, light and dark, from 390 pixels to a wall, and on paper.

The rules are files of `assets`; what they call by a variable is filled in here, from the colours of the figures.
"""

from __future__ import annotations

from dashboards.figures.palette import DARK, FONT, HEAT, INK, MUTED, PAPER, RULE, TRAIN, VALID
from dashboards.page import joining

_SERIF = "Charter, 'Iowan Old Style', 'Palatino Linotype', Palatino, Georgia, 'Liberation Serif', serif"
_COLOURS = {"paper": PAPER, "ink": INK, "muted": MUTED, "rule": RULE, "train": TRAIN, "valid": VALID}
_COLOURS |= {f"heat{place}": colour for place, colour in enumerate(HEAT)}
_LIGHT = "".join(f"--{name}:{colour};" for name, colour in _COLOURS.items()) + "--wash:#f5f2ea;color-scheme:light;"
_DARK = "".join(f"--{name}:{DARK[colour]};" for name, colour in _COLOURS.items()) + "--wash:#1b1f24;color-scheme:dark;"
_VARIABLES = (
    f":root{{{_LIGHT}--sans:{FONT};--serif:{_SERIF}}}\n"
    f":root[data-theme=dark]{{{_DARK}}}\n"
    f"@media (prefers-color-scheme:dark){{:root:not([data-theme=light]){{{_DARK}}}}}\n"
    f"@media print{{:root,:root[data-theme=dark],:root:not([data-theme=light]){{{_LIGHT}}}}}\n"
)
SHEETS = ("text", "controls", "tables", "figures", "images", "charts", "brush", "picked", "notes", "widths", "paper")
"""In the order in which they stand in the page: of rules that say different things the last one counts."""
STYLE = _VARIABLES + "".join(joining.read("dashboards.page", f"{name}.css") for name in SHEETS)
