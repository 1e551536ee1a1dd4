"""Progress on the page: a table for each depth, one mark per repeat, told apart by shape."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import pandas as pd

from dashboards.figures.choice import Choice, Depth, Source
from dashboards.figures.declaration import Figure
from dashboards.figures.markup import depth_text, lr_text, text
from dashboards.figures.progress import MOST, STATES
from dashboards.page.chart import Charts
from orchestrator.store.schema import RepeatState

_SIDE, _STEP, _PER_ROW = 9, 12, 5
"""Size of a mark and distance to the next, in pixels; marks in a row."""


def progress_tables(figure: Figure, source: Source, choice: Choice, charts: Charts) -> str:
    """The tables of all depths of a backbone."""
    data = figure.data(source, choice)
    return "" if data.empty else progress_grid(data)


def progress_grid(data: pd.DataFrame) -> str:
    """One HTML table per depth: learning rates down, batch sizes across."""
    cells: dict[tuple[Depth, float, int], list[dict[Hashable, Any]]] = {}
    for row in data.to_dict("records"):
        cells.setdefault((row["depth"], row["lr"], row["batch_size"]), []).append(row)
    parts = []
    for depth in sorted({key[0] for key in cells}, key=lambda depth: (depth[2], depth[1])):
        lrs = sorted({lr for other, lr, _ in cells if other == depth})
        batches = sorted({batch for other, _, batch in cells if other == depth})
        head = "".join(f'<th scope="col">{batch}</th>' for batch in batches)
        body = []
        for lr in lrs:
            line = "".join(
                "<td>" + "".join(_cell(row) for row in cells.get((depth, lr, batch), [])) + "</td>" for batch in batches
            )
            body.append(f'<tr><th scope="row">{lr_text(lr)}</th>{line}</tr>')
        parts.append(
            f'<div class="panel"><h4>{text(depth_text(depth))}</h4><div class="scroll" tabindex="0" role="region" '
            f'aria-label="Progress, {text(depth_text(depth))}"><table class="progress"><thead><tr>'
            f'<th scope="col"><span class="corner">lr ↓ batch →</span></th>{head}</tr></thead>'
            f"<tbody>{''.join(body)}</tbody></table></div></div>"
        )
    return f'<div class="panels wide">{"".join(parts)}</div>'


def progress_key() -> str:
    """What the marks mean."""
    marks = "".join(f"<li>{_marks((state,))} {name}</li>" for state, name in STATES.items())
    return f'<ul class="key" aria-label="Key">{marks}</ul>'


def _cell(row: dict[Hashable, Any]) -> str:
    states: tuple[RepeatState, ...] = row["states"]
    others = ", ".join(
        f"{row[state.value]} {name}" for state, name in STATES.items() if row[state.value] and name != "done"
    )
    label = f"{row['point']}: {row['done']} of {row['asked']} repeats done" + (f", {others}" if others else "")
    marks = _marks(states, label) if len(states) <= MOST else _bar(row["done"] / row["asked"], label)
    return f'<span class="cell" title="{text(label)}">{marks}<b>{row["done"]}/{row["asked"]}</b></span>'


def _marks(states: Sequence[RepeatState], label: str = "") -> str:
    """One SVG with a path per state that occurs."""
    columns = min(len(states), _PER_ROW)
    lines = -(-len(states) // _PER_ROW)
    paths: dict[RepeatState, list[str]] = {}
    for place, state in enumerate(states):
        paths.setdefault(state, []).append(_mark(state, place % _PER_ROW * _STEP + 1, place // _PER_ROW * _STEP + 1))
    drawn = "".join(f'<path class="{state.value}" d="{"".join(d)}"/>' for state, d in paths.items())
    role = f'role="img" aria-label="{text(label)}"' if label else 'aria-hidden="true"'
    return f'<svg width="{columns * _STEP}" height="{lines * _STEP}" {role}>{drawn}</svg>'


def _mark(state: RepeatState, x: int, y: int) -> str:
    side = _SIDE
    square = f"M{x} {y}h{side}v{side}h-{side}z"
    if state is RepeatState.DIVERGED:
        return f"M{x + side / 2:g} {y}L{x + side} {y + side}H{x}z"
    if state is RepeatState.FAILED:
        return f"M{x} {y}l{side} {side}M{x + side} {y}l-{side} {side}"
    if state is RepeatState.RUNNING:
        return f"{square}M{x} {y + side / 2:g}h{side}M{x} {y + side * 0.75:g}h{side}M{x} {y + side * 0.25:g}h{side}"
    return square


def _bar(share: float, label: str) -> str:
    width = _PER_ROW * _STEP
    return (
        f'<svg width="{width}" height="{_STEP}" role="img" aria-label="{text(label)}"><path class="waiting" '
        f'd="M1 1h{width - 2}v{_SIDE}h-{width - 2}z"/><path class="finished" d="M1 1h{(width - 2) * share:.1f}v{_SIDE}'
        f'h-{(width - 2) * share:.1f}z"/></svg>'
    )
