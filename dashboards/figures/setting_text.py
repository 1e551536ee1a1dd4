"""Settings and their values in the words of figures."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache, lru_cache, partial
from typing import Any

from dashboards.figures.markup import lr_text
from orchestrator.results.names import value_text
from orchestrator.results.tried import tried
from search_spaces.configuration import Configuration, by_column, column_names
from search_spaces.faults import did_you_mean, nearest
from search_spaces.tables import choices_of, is_tuple

NOT_TRIED = "–"
"""In the place of the value of a setting that cannot matter in a configuration."""

_SHORT = {"lr": "lr", "batch_size": "batch", "non_linearities": "n", "unfrozen": "u"}
"""What they are called where there is little room; others by their label."""
_KEPT = 4096
_EQUAL = ("non_linearities", "unfrozen")


def unknown(column: str) -> str:
    """A fault that suggests the nearest name; "" of a column that there is."""
    known = column_names()
    return "" if column in known else f"expected a setting, found {column!r}{did_you_mean(nearest(column, known))}"


@cache
def label_of(column: str) -> str:
    """`learning rate` of `lr`; a column that is no setting (`strategy`) is its own."""
    one = by_column().get(column)
    return column if one is None else one.setting.label


def title_of(column: str) -> str:
    """Of an axis: the label, with its unit."""
    one = by_column().get(column)
    return label_of(column) + (f", {one.setting.unit}" if one is not None and one.setting.unit else "")


def is_logarithmic(column: str) -> bool:
    """Whether the setting declares such a scale."""
    one = by_column().get(column)
    return one is not None and one.setting.scale == "log"


@lru_cache(_KEPT, typed=True)
def value_of(column: str, value: Any) -> str:
    """A learning rate as it would be typed, anything else as short as it can be."""
    return lr_text(value) if column == "lr" and value != NOT_TRIED else value_text(value)


@lru_cache(_KEPT, typed=True)
def words_of(column: str, value: Any) -> str:
    """`lr 1e-3`, `batch 16`, `n = 2`, `dropout 0.2`."""
    return f"{short_label(column)} {'= ' if column in _EQUAL else ''}{value_of(column, value)}"


@cache
def short_label(column: str) -> str:
    return _SHORT.get(column, label_of(column))


def shown_value(configuration: Configuration, column: str) -> Any:
    """Its value as figures place it; NOT_TRIED where the setting cannot matter."""
    value = tried(configuration, column)
    return NOT_TRIED if value is None else value


def ordered(column: str, values: Iterable[Any]) -> list[Any]:
    """Each once, numbers by size, lists by their parts, words by the alphabet, and last what was not tried."""
    return sorted(set(values), key=partial(by_size, column))


def by_size(column: str, value: Any) -> tuple[int, Any]:
    """The key of that order."""
    if value == NOT_TRIED:
        return 3, value
    if not isinstance(value, str):
        return 0, value
    one = by_column().get(column)
    is_list = one is not None and is_tuple(one) and not choices_of(one)
    return (1, tuple(map(float, value.split(", ")))) if is_list else (2, value)
