"""Strategies: named presets that say which depths are tried. A label, never a branch in the code."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from search_spaces.live import LAST

NON_LINEARITIES, UNFROZEN, ADAPTATION = "head.non_linearities", "adaptation.unfrozen", "adaptation.name"
START, NORMS = "adaptation.start", "adaptation.norms"
_LINEAR = {"head.name": "halving", NON_LINEARITIES: 0}

Strategy = str
"""The name of a preset."""


@dataclass(frozen=True)
class Preset:
    """All that is ever said of a strategy.

    shown: what people call it, in the place of its name. help: what it trains. axis: the setting that makes it what it
    is. also: others that it leaves open. fixed: values that it holds, by path; a table of the strategy gives
    none of these. among: values of others, of which it tries all where nothing gives some of them. grid: keys of its
    table where the default space has none.
    mark, colour: on figures, a symbol of plotly's and the place of a colour among the palette's series.
    """

    shown: str
    help: str
    mark: str
    colour: int
    axis: str = ""
    also: tuple[str, ...] = ()
    fixed: Mapping[str, Any] = field(default_factory=dict)
    among: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    grid: Mapping[str, Any] = field(default_factory=dict)

    def holds(self, value: Callable[[str], Any]) -> bool:
        """Whether values, looked up by path, are those that it fixes, or among those that it tries alone."""
        is_fixed = all(value(path) == held for path, held in self.fixed.items())
        return is_fixed and all(value(path) in several for path, several in self.among.items())

    def takes(self, path: str, values: Collection[Any]) -> bool:
        """Whether a setting may be given these values."""
        return path not in self.fixed and all(value in self.among.get(path, values) for value in values)


PRESETS: Mapping[Strategy, Preset] = {
    "straightforward": Preset(
        "linear probe",
        "linear probe: a new last layer",
        "circle",
        3,
        fixed={**_LINEAR, ADAPTATION: LAST, UNFROZEN: 0},
    ),
    "extension": Preset(
        "MLP head",
        "MLP head: n new non-linear layers before it",
        "square",
        2,
        axis=NON_LINEARITIES,
        fixed={ADAPTATION: LAST, UNFROZEN: 0},
    ),
    "finetune": Preset(
        "full fine-tuning",
        "full fine-tuning: the whole backbone, starting from its weights",
        "triangle-up",
        4,
        also=(NON_LINEARITIES,),
        fixed={ADAPTATION: "whole", START: "weights"},
        grid={"lr": [0.0001, 0.001, 0.01], "epochs": 20},
    ),
    "scratch": Preset(
        "training from scratch",
        "training from scratch: the whole backbone, from random weights drawn for each repeat",
        "x",
        5,
        also=(NON_LINEARITIES,),
        fixed={ADAPTATION: "whole", START: "drawn", NORMS: "moving"},
        grid={"lr": [0.001, 0.01, 0.1], "epochs": 100},
    ),
    "adapters": Preset(
        "adapters",
        "a few parameters in every layer of the backbone",
        "star",
        6,
        axis=ADAPTATION,
        also=(NON_LINEARITIES,),
        among={ADAPTATION: ("scale_and_shift", "bias", "lora")},
        grid={"lr": [0.001, 0.01, 0.1], "epochs": 20},
    ),
    "unfreezing": Preset(
        "partial fine-tuning",
        "partial fine-tuning: the last u weight layers too",
        "diamond",
        1,
        axis=UNFROZEN,
        also=(NON_LINEARITIES, ADAPTATION),
    ),
}
"""In the order in which they are tried and listed. The last fixes nothing: it is what no other is."""


def strategy_of(value: Callable[[str], Any]) -> Strategy:
    """What values, looked up by path, amount to: the first preset that holds them."""
    return next(name for name, preset in PRESETS.items() if preset.holds(value))


def shown_strategy(name: Strategy) -> str:
    """`linear probe` of `straightforward`: the words for people; files and options have the name."""
    return PRESETS[name].shown if name in PRESETS else name
