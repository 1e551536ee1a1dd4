"""What a configuration tried: a setting that cannot matter in it has no value there, whatever stands in its place."""

from __future__ import annotations

from typing import Any

from search_spaces.configuration import Configuration, by_column, column_names


def tried(configuration: Configuration, column: str) -> Any:
    """One of its columns; None where the setting cannot matter."""
    one = by_column().get(column)
    return configuration.column(column) if one is None or configuration.matters(one) else None


def tried_columns(configuration: Configuration) -> dict[str, Any]:
    """`Configuration.columns` as tables show them."""
    return {name: tried(configuration, name) for name in column_names()}
