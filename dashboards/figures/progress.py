"""Progress: for every configuration the repeats done of those asked, one mark per repeat, told apart by shape."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import pandas as pd

from dashboards.figures.choice import Choice, Depth, Source
from dashboards.figures.markup import depth_text, lr_text, point_text, text
from dashboards.figures.palette import MUTED, TRAIN, VALID, Spec, axis, layout, legend
from orchestrator.store.schema import RepeatState

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
_SYMBOLS = {
    RepeatState.FINISHED: ("square", TRAIN),
    RepeatState.DIVERGED: ("triangle-up", VALID),
    RepeatState.RUNNING: ("square-cross-open", TRAIN),
    RepeatState.FAILED: ("x-thin-open", VALID),
    RepeatState.WAITING: ("square-open", MUTED),
}


def progress_data(source: Source, choice: Choice) -> pd.DataFrame:
    """One row per configuration: depth, lr, batch_size, asked, done, and how many repeats are in each state.

    states: every repeat's state in the order of repeat numbers. cause: of the first failure, one line.
    """
    rows = []
    for member in source.members(choice):
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
                "cause": next((standing.cause for standing in member.standings if standing.cause), ""),
                "point": point_text(member.configuration),
            }
        )
    return pd.DataFrame(rows)


def progress_figure(data: pd.DataFrame, choice: Choice) -> Spec:
    """One mark per repeat asked, learning rates down and batch sizes across, one depth."""
    lrs, batches = sorted(set(data["lr"])), sorted(set(data["batch_size"]))
    places: dict[RepeatState, list[tuple[float, float, str]]] = {}
    notes: list[Spec] = []
    for row in data.to_dict("records"):
        x, y = batches.index(row["batch_size"]), lrs.index(row["lr"])
        notes.append(
            {
                "x": x,
                "y": y + 0.3,
                "text": f"{row['done']}/{row['asked']}",
                "showarrow": False,
                "font": {"size": 11, "color": MUTED},
            }
        )
        for place, state in enumerate(row["states"][:_MOST]):
            at = x - 0.3 + 0.15 * (place % _PER_ROW), y - 0.3 + 0.14 * (place // _PER_ROW)
            places.setdefault(state, []).append((*at, f"{row['point']}, repeat {place}"))
    traces = [
        {
            "type": "scatter",
            "mode": "markers",
            "name": name,
            "x": [x for x, _, _ in places[state]],
            "y": [y for _, y, _ in places[state]],
            "text": [words for *_, words in places[state]],
            "marker": {"symbol": _SYMBOLS[state][0], "color": _SYMBOLS[state][1], "size": 9, "line": {"width": 1.4}},
            "hovertemplate": f"%{{text}}: {name}<extra></extra>",
        }
        for state, name in STATES.items()
        if state in places
    ]
    across = axis(tickvals=list(range(len(batches))), ticktext=[str(b) for b in batches], title={"text": "batch size"})
    down = axis(tickvals=list(range(len(lrs))), ticktext=[lr_text(lr) for lr in lrs], title={"text": "lr"})
    spec = layout(
        100 + 70 * len(lrs),
        xaxis={**across, "showgrid": False, "range": [-0.5, len(batches) - 0.5]},
        yaxis={**down, "showgrid": False, "range": [len(lrs) - 0.4, -0.6]},
        annotations=notes,
        showlegend=True,
        legend=legend(),
    )
    return {"data": traces, "layout": {**spec, "margin": {"l": 56, "r": 12, "t": 34, "b": 44}}}


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
