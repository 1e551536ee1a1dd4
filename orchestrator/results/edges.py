"""Whether the best value of a grid lies at its edge, and the option that would extend it."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from orchestrator.results.configuration_summary import ConfigurationSummary
from orchestrator.store.schema import Metric
from search_spaces.axes import LR
from search_spaces.live import moves_statistics

_STEPS = 2
"""How many values beyond the edge are proposed."""
_MOST_LR = 1.0
"""No larger learning rate is proposed."""


@dataclass(frozen=True)
class EdgeNote:
    """The best configuration of one backbone and depth has the smallest or largest value that was tried."""

    partition: str
    backbone: str
    strategy: str
    non_linearities: int
    unfrozen: int
    setting: Literal["lr", "batch_size"]
    best: float
    edge: Literal["smallest", "largest"]
    option: str
    """What to add to the search command: "--lr 5e-05,1e-04"."""


def edge_notes(
    summaries: Sequence[ConfigurationSummary], selection: Metric, drawn: Collection[str] = ()
) -> tuple[EdgeNote, ...]:
    """Look at each partition, backbone, strategy, n, u and what a later stage begins from by itself; configurations
    that have steps and a rank, or that the search stopped, count as tried. drawn: paths of settings that have a
    distribution, of which the values that were tried have no edge."""
    groups: dict[tuple[tuple[str, str, str, int, int], str | None], list[ConfigurationSummary]] = defaultdict(list)
    for summary in summaries:
        if summary.configuration.head.is_fitted:
            continue
        is_judged = summary.rank is not None or summary.stopped_by_search
        if is_judged and summary.configuration.selection.metric == selection:
            key = (summary.partition, summary.configuration.network.backbone, *summary.depth)
            groups[key, summary.configuration.parent].append(summary)
    least = 2 if any(moves_statistics(summary.configuration.value) for summary in summaries) else 1
    notes = []
    for (key, _), members in groups.items():
        if not (ranked := [member for member in members if member.rank is not None]):
            continue
        best = min(ranked, key=lambda member: member.rank or 0)
        lr = sorted({member.configuration.optimiser.lr for member in members})
        batch = sorted({member.configuration.optimiser.batch_size for member in members})
        edge = _edge(best.configuration.optimiser.lr, lr)
        if LR not in drawn and edge is not None and (values := _beyond_lr(lr, edge)):
            notes.append(EdgeNote(*key, "lr", best.configuration.optimiser.lr, edge, f"--lr {values}"))
        edge = _edge(best.configuration.optimiser.batch_size, batch)
        if edge is not None and (values := _beyond_batch(batch, edge, least)):
            size = best.configuration.optimiser.batch_size
            notes.append(EdgeNote(*key, "batch_size", size, edge, f"--batch-size {values}"))
    return tuple(notes)


def _edge(best: float, grid: Sequence[float]) -> Literal["smallest", "largest"] | None:
    """None inside the grid, and for a grid of one value, which nobody meant to search."""
    if len(grid) < 2 or grid[0] < best < grid[-1]:
        return None
    return "smallest" if best == grid[0] else "largest"


def _beyond_lr(grid: Sequence[float], edge: str) -> str:
    """Go on as the grid goes: the leading digits that occur in it, times the next powers of ten, up to _MOST_LR."""
    digits = sorted({float(f"{lr:.6e}".split("e")[0]) for lr in grid})
    end = grid[-1] if edge == "largest" else grid[0]
    power = math.floor(math.log10(end))
    near = [digit * 10.0**step for step in range(power - _STEPS - 1, power + _STEPS + 2) for digit in digits]
    if edge == "largest":
        values = [lr for lr in sorted(near) if end * (1 + 1e-6) < lr <= _MOST_LR][:_STEPS]
    else:
        values = [lr for lr in sorted(near) if lr < end * (1 - 1e-6)][-_STEPS:]
    return ",".join(_typed(lr) for lr in values)


def _typed(lr: float) -> str:
    mantissa, exponent = f"{lr:.6e}".split("e")
    return f"{lr:g}" if lr >= 1e-3 else f"{float(mantissa):g}e{int(exponent)}"


def _beyond_batch(grid: Sequence[int], edge: str, least: int) -> str:
    """Double or halve, not below `least`; empty where that is already the smallest."""
    if edge == "largest":
        return ",".join(str(grid[-1] * 2**step) for step in range(1, _STEPS + 1))
    values = [grid[0] // 2**step for step in range(_STEPS, 0, -1)]
    return ",".join(str(value) for value in values if value >= least)
