"""A report: text for a reader and the same as data, and how its numbers and columns look."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.results.statistic import Statistic


@dataclass(frozen=True)
class Report:
    """Text for a reader and the same as data."""

    lines: tuple[str, ...]
    data: dict[str, Any]

    def as_text(self) -> str:
        return "\n".join(self.lines)

    def as_json(self) -> dict[str, Any]:
        return self.data


def plus_minus(statistic: Statistic | None) -> str:
    if statistic is None or not statistic.n:
        return "–"
    return f"{statistic.mean:.3f}" + (f" ± {statistic.std:.3f}" if statistic.n > 1 else "")


def columns(rows: Sequence[Sequence[str]], right: Sequence[bool]) -> list[str]:
    """Lines with the cells under one another, two spaces before each; `right` says which columns are numbers."""
    widths = [max(len(row[place]) for row in rows) for place in range(len(right))]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if is_right else cell.ljust(width)
            for cell, width, is_right in zip(row, widths, right, strict=True)
        ]
        lines.append(("  " + "  ".join(cells)).rstrip())
    return lines


def finite(value: float) -> float | None:
    """JSON has no NaN."""
    return float(value) if math.isfinite(value) else None
