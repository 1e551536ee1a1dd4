"""Strategies: named presets that say which depths are tried. A label, never a branch in the code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from search_spaces.configuration import Strategy

NON_LINEARITIES, UNFROZEN = "head.non_linearities", "adaptation.unfrozen"


@dataclass(frozen=True)
class Preset:
    """axis: the setting that makes the strategy what it is. also: others that it leaves open. fixed: values that it
    holds; a table of the strategy gives none of these."""

    axis: str = ""
    also: tuple[str, ...] = ()
    fixed: Mapping[str, Any] = field(default_factory=dict)

    @property
    def open(self) -> tuple[str, ...]:
        return (self.axis, *self.also) if self.axis else self.also


PRESETS: Mapping[Strategy, Preset] = {
    "straightforward": Preset(fixed={NON_LINEARITIES: 0, UNFROZEN: 0}),
    "extension": Preset(axis=NON_LINEARITIES, fixed={UNFROZEN: 0}),
    "unfreezing": Preset(axis=UNFROZEN, also=(NON_LINEARITIES,)),
}
STRATEGIES: tuple[Strategy, ...] = tuple(PRESETS)
