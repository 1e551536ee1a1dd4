"""Progress: for every configuration the repeats done of those asked, one mark per repeat, told apart by shape."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from dashboards.markup import depth_text, lr_text, point_text, text
from orchestrator.store.schema import RepeatState
from orchestrator.summary import ConfigurationSummary

_SIDE, _STEP, _PER_ROW = 9, 12, 5
"""Size of a mark and distance to the next, in pixels; marks in a row."""
_MOST = 40
"""With more repeats than this a bar replaces the marks."""

STATES = {
    RepeatState.FINISHED: "done",
    RepeatState.DIVERGED: "diverged (done)",
    RepeatState.RUNNING: "running",
    RepeatState.FAILED: "failed",
    RepeatState.WAITING: "waiting",
}


def progress_data(members: Sequence[ConfigurationSummary]) -> pd.DataFrame:
    """One row per configuration: depth, lr, batch_size, asked, done, and how many repeats are in each state."""
    rows = []
    for member in members:
        counts = {state: member.count(state) for state in RepeatState}
        rows.append(
            {
                "depth": member.depth,
                "lr": member.configuration.lr,
                "batch_size": member.configuration.batch_size,
                "asked": member.asked,
                "done": counts[RepeatState.FINISHED] + counts[RepeatState.DIVERGED],
                **{state.value: count for state, count in counts.items()},
                "states": tuple(standing.state for standing in member.standings),
                "point": point_text(member.configuration),
            }
        )
    return pd.DataFrame(rows)


def progress_grid(data: pd.DataFrame) -> str:
    """One HTML table per depth: learning rates down, batch sizes across."""
    parts = []
    for depth in sorted(set(data["depth"]), key=lambda depth: (depth[2], depth[1])):
        part = data[data["depth"] == depth]
        batches = sorted(part["batch_size"].unique())
        head = "".join(f'<th scope="col">{batch}</th>' for batch in batches)
        body = []
        for lr in sorted(part["lr"].unique()):
            cells = []
            for batch in batches:
                cell = part[(part["lr"] == lr) & (part["batch_size"] == batch)]
                cells.append("".join(_cell(row) for _, row in cell.iterrows()))
            body.append(
                f'<tr><th scope="row">{lr_text(lr)}</th>' + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"
            )
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


def _cell(row: pd.Series) -> str:
    states: tuple[RepeatState, ...] = row["states"]
    others = ", ".join(
        f"{row[state.value]} {name}" for state, name in STATES.items() if row[state.value] and name != "done"
    )
    label = f"{row['point']}: {row['done']} of {row['asked']} repeats done" + (f", {others}" if others else "")
    marks = _marks(states, label) if len(states) <= _MOST else _bar(row["done"] / row["asked"], label)
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
