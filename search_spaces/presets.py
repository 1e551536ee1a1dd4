"""Strategies: named presets that say which depths are tried. A label, never a branch in the code."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from search_spaces.live import LAST

NON_LINEARITIES, UNFROZEN, ADAPTATION = "head.non_linearities", "adaptation.unfrozen", "adaptation.name"
_LINEAR = {"head.name": "halving", NON_LINEARITIES: 0}

Strategy = str
"""The name of a preset."""


@dataclass(frozen=True)
class Preset:
    """All that is ever said of a strategy.

    help: what it trains. axis: the setting that makes the strategy what it is. also: others that it leaves open.
    fixed: values that it holds, by path; a table of the strategy gives none of these. mark, colour: on figures, a
    symbol of plotly's and the place of a colour among the palette's series.
    """

    help: str
    mark: str
    colour: int
    axis: str = ""
    also: tuple[str, ...] = ()
    fixed: Mapping[str, Any] = field(default_factory=dict)

    def holds(self, value: Callable[[str], Any]) -> bool:
        """Whether values, looked up by path, are those that it fixes."""
        return all(value(path) == held for path, held in self.fixed.items())


PRESETS: Mapping[Strategy, Preset] = {
    "straightforward": Preset("a new last layer", "circle", 3, fixed={**_LINEAR, ADAPTATION: LAST, UNFROZEN: 0}),
    "extension": Preset(
        "n new non-linear layers before it", "square", 2, axis=NON_LINEARITIES, fixed={ADAPTATION: LAST, UNFROZEN: 0}
    ),
    "unfreezing": Preset(
        "the last u weight layers of the backbone too", "diamond", 1, axis=UNFROZEN, also=(NON_LINEARITIES, ADAPTATION)
    ),
}
"""In the order in which they are tried and listed. The last fixes nothing: it is what no other is."""


def strategy_of(value: Callable[[str], Any]) -> Strategy:
    """What values, looked up by path, amount to: the first preset that holds them."""
    return next(name for name, preset in PRESETS.items() if preset.holds(value))
