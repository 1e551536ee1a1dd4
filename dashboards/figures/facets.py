"""Grids of two settings: one down, one across, and a grid of its own for every choice of all the others.

So no two configurations share a cell.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, NamedTuple

from dashboards.figures.markup import depth_text
from dashboards.figures.setting_text import NOT_TRIED, by_size, label_of, shown_value, unknown, words_of
from orchestrator.results.configuration_summary import ConfigurationSummary
from orchestrator.results.names import IN_EVERY_NAME
from orchestrator.store.errors import Faults
from search_spaces.configuration import BACKBONE, by_column, column_names, differing, shown_settings
from search_spaces.presets import PRESETS

_ALWAYS = tuple(one.column for one in shown_settings() if one.path in IN_EVERY_NAME and one.path != BACKBONE)
"""What a facet says even where all configurations have it alike."""
_DEPTH = ("unfrozen", "non_linearities")
MOST_SETTINGS = 6
"""That a page offers as rows and columns."""


class Pair(NamedTuple):
    """Columns of two settings."""

    rows: str = "lr"
    columns: str = "batch_size"

    @property
    def label(self) -> str:
        return f"{label_of(self.rows)} × {label_of(self.columns)}"


LR_AND_BATCH = Pair()


@dataclass(frozen=True)
class Facet:
    """Values of the settings that are neither rows nor columns, by column; `name` says them in short.

    number: of several facets that agree in all settings (configurations that start from different parents).
    """

    values: tuple[tuple[str, Any], ...]
    name: str = field(default="", compare=False)
    number: int = 0


def checked_pair(figure: str, names: Sequence[str]) -> Pair:
    """Raise InputError with every name that there is not."""
    faults = Faults(f"figure {figure!r}")
    if len(set(names)) != 2 or len(names) != 2:
        faults.add(f"pair: expected two settings, one down and one across, found {', '.join(map(str, names))}")
    faults.extend(f"pair: {fault}" for name in names if (fault := unknown(name)))
    faults.raise_if_any(f"Settings: {', '.join(column_names())}")
    return Pair(*names)


def pairs_of(members: Iterable[ConfigurationSummary]) -> list[Pair]:
    """Learning rate and batch size, then every other pair of settings in which a backbone's configurations differ."""
    of_backbone: dict[str, list[ConfigurationSummary]] = {}
    for member in members:
        of_backbone.setdefault(member.configuration.network.backbone, []).append(member)
    varying = {name for mine in of_backbone.values() for name in _differing(mine)}
    names = [one.column for one in shown_settings() if one.column in varying]
    first = sorted(names, key=lambda name: name not in _ALWAYS)[:MOST_SETTINGS]  # sorting keeps their order
    kept = [name for name in names if name in first]
    return list(dict.fromkeys([LR_AND_BATCH, *(_turned(Pair(*two)) for two in combinations(kept, 2))]))


def names_of_facets(members: Sequence[ConfigurationSummary]) -> list[str]:
    """Columns of the settings that tell the configurations of a backbone apart."""
    return list(dict.fromkeys([*_ALWAYS, *_differing(members)]))


def facets_of(
    members: Sequence[ConfigurationSummary], pair: Pair, names: Sequence[str]
) -> dict[Facet, list[ConfigurationSummary]]:
    """The members of each facet in their order; of members of one backbone and partition. names: `names_of_facets`."""
    free = [name for name in names if name not in pair]
    used: Counter[tuple[Any, ...]] = Counter()
    members_of: dict[tuple[tuple[Any, ...], int], list[ConfigurationSummary]] = {}
    for member in members:
        values = tuple(shown_value(member.configuration, name) for name in free)
        place = (*values, *(shown_value(member.configuration, name) for name in pair))
        members_of.setdefault((values, used[place]), []).append(member)
        used[place] += 1
    facets = {}
    for values, number in sorted(members_of, key=lambda key: ([*map(by_size, free, key[0])], key[1])):
        here, mine = dict(zip(free, values, strict=True)), members_of[values, number]
        facets[Facet(tuple(here.items()), ", ".join(_words(here, mine, members)), number)] = mine
    return facets


def _turned(pair: Pair) -> Pair:
    """Learning rates go down where they are one of two."""
    return Pair(pair.columns, pair.rows) if pair.columns == "lr" else pair


def _differing(members: Iterable[ConfigurationSummary]) -> list[str]:
    several = {member.id: member.configuration for member in members}
    return [one.column for one in differing(several.values()) if one.path != BACKBONE]


def _words(
    values: dict[str, Any], mine: Sequence[ConfigurationSummary], every: Sequence[ConfigurationSummary]
) -> Iterator[str]:
    """What the facet's members have alike; of n or u alone no 0 that all of the backbone's configurations have."""
    beside = dict(values)
    if all(name in values for name in _DEPTH):
        u, n = (0 if value == NOT_TRIED else value for value in map(beside.pop, _DEPTH))
        strategies = {member.configuration.strategy for member in mine}
        yield depth_text((" or ".join(name for name in PRESETS if name in strategies), n, u))
    for name, value in beside.items():
        one = by_column()[name]
        if name in _DEPTH and not any(member.configuration.column(name) for member in every):
            continue
        if any(member.configuration.matters(one) for member in mine):
            yield words_of(name, value)
