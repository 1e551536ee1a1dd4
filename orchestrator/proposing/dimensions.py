"""What a sampler sees of a space: its dimensions, one after the other, and the configuration that a choice makes.

First come the settings that tell the search's configurations apart, each with a list of values, then those that have a
distribution. What cannot matter beside the choices before is no dimension there, so that conditions follow from the
settings' own declarations.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from orchestrator.proposing.proposer import Suggested
from orchestrator.store.errors import InputError
from orchestrator.store.searches import SearchRecord
from search_spaces.configuration import Configuration, by_path, differing
from search_spaces.ranges import Range
from search_spaces.settings.declaration import Declared


@dataclass(frozen=True)
class Dimension:
    """values: of a list, in ascending order where they are numbers; () of a distribution, which is `range`."""

    name: str
    path: str
    values: tuple[Any, ...] = ()
    range: Range | None = None

    @property
    def is_ordered(self) -> bool:
        return self.range is not None or all(_is_number(value) for value in self.values)


Choose = Callable[[Dimension], Any]
"""Of a dimension's list one value, of its distribution a number."""


class Dimensions:
    """Of one search. Equal choices make equal configurations."""

    def __init__(self, search: SearchRecord, configuration: Callable[[str], Configuration]) -> None:
        self._bases = [configuration(name) for name in search.configurations]
        self._drawn: dict[str, list[Dimension]] = {}
        for one in search.distributions:
            dimension = Dimension(one.name, one.path, range=Range(one.low, one.high, one.log, one.step))
            for name in one.configurations:
                self._drawn.setdefault(name, []).append(dimension)
        drawn = {one.path for one in search.distributions}
        several = [one for one in differing(self._bases) if one.path not in drawn]
        self._listed = [(one, self._dimension(one)) for one in sorted(several, key=_depth)]

    @cached_property
    def every(self) -> tuple[Dimension, ...]:
        """Each once, whether or not all configurations have it."""
        drawn = (one for several in self._drawn.values() for one in several)
        return tuple(dict.fromkeys([*(dimension for _, dimension in self._listed), *drawn]))

    @property
    def are_common(self) -> bool:
        """Whether every configuration has every dimension, and each combination of values there is."""
        count = 1
        for _, dimension in self._listed:
            count *= len(dimension.values)
        several = {tuple(self._drawn.get(c.id, ())) for c in self._bases}
        return count == len(self._bases) and len(several) == 1

    def made(self, choose: Choose) -> Suggested:
        """The configuration that is chosen; of a value that cannot stand beside those before, the nearest that can."""
        left = self._bases
        for one, dimension in self._listed:
            here = [c for c in left if c.matters(one)]
            values = {c.value(one.path) for c in here}
            if len(values) > 1 or (values and len(here) < len(left)):
                nearest = _nearest(dimension, choose(dimension), values)
                left = [c for c in here if c.value(one.path) == nearest]
        base = left[0]
        drawn = self._drawn.get(base.id, ())
        given = {one.path: one.range.near(choose(one)) for one in drawn if one.range is not None}
        return Suggested(base.with_values(given) if given else base, base.id)

    def chosen(self, suggested: Suggested) -> dict[Dimension, Any]:
        """What makes a configuration, by dimension."""
        chosen: dict[Dimension, Any] = {}

        def choose(dimension: Dimension) -> Any:
            chosen[dimension] = suggested.configuration.value(dimension.path)
            return chosen[dimension]

        self.made(choose)
        return chosen

    def like(self, point: Mapping[str, Any]) -> Suggested:
        """The configuration with these values by path. Raises InputError where the space has none."""
        known = by_path().keys() >= point.keys()
        left = [c for c in self._bases if known and all(c.value(p) == v for p, v in self._fixed(point, c).items())]
        for base in left:
            drawn = {one.path: one.range for one in self._drawn.get(base.id, ()) if one.range is not None}
            values = {path: point.get(path, one.middle) for path, one in drawn.items()}
            if all(one.low <= values[path] <= one.high for path, one in drawn.items()):
                return Suggested(base.with_values(values) if values else base, base.id)
        told = ", ".join(f"{path} {value}" for path, value in point.items())
        raise InputError(
            f"start: expected points of the space of the search, found {told or 'nothing'}",
            "Name settings that it tries, with values that it has: orch spaces show STUDY",
        )

    def _fixed(self, point: Mapping[str, Any], base: Configuration) -> dict[str, Any]:
        """What of a point must be as in a configuration."""
        drawn = {one.path for one in self._drawn.get(base.id, ())}
        return {path: value for path, value in point.items() if path not in drawn}

    def others(self, taken: Sequence[str]) -> list[Suggested]:
        """The search's own configurations less these; none where there are distributions."""
        return [] if self._drawn else [Suggested(c, c.id) for c in self._bases if c.id not in taken]

    def _dimension(self, one: Declared) -> Dimension:
        values = {c.value(one.path) for c in self._bases if c.matters(one)}
        ordered = sorted(values, key=lambda value: (not _is_number(value), value if _is_number(value) else str(value)))
        return Dimension(one.path, one.path, tuple(ordered))


def _depth(one: Declared) -> int:
    """How many settings it hangs on, one behind the other: those that others hang on are chosen first."""
    paths = [condition.path for condition in (*one.setting.conditions, *one.setting.needs)]
    return 1 + max((_depth(by_path()[path]) for path in paths), default=-1)


def _nearest(dimension: Dimension, value: Any, values: set[Any]) -> Any:
    place = dimension.values.index(value)
    there = [index for index, one in enumerate(dimension.values) if one in values]
    return dimension.values[min(there, key=lambda index: (abs(index - place), index))]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
