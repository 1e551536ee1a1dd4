"""Markdown that names of classes and columns cannot break."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def cell(text: object) -> str:
    """One line without anything that ends a table's cell or begins a tag."""
    return " ".join(str(text).split()).replace("|", "\\|").replace("<", "&lt;")


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """Lines of a table; numbers are given as text."""
    lines = [f"| {' | '.join(cell(head) for head in heads)} |", f"|{'|'.join(' --- ' for _ in heads)}|"]
    return [*lines, *(f"| {' | '.join(cell(value) for value in row)} |" for row in rows)]
