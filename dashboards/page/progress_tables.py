"""Progress on the page: a table for each facet, one mark per repeat, told apart by shape."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from dashboards.figures.choice import Choice, Source
from dashboards.figures.declaration import Figure
from dashboards.figures.facets import Pair
from dashboards.figures.markup import text, whole_name
from dashboards.figures.progress import MOST, STATES
from dashboards.figures.setting_text import ordered, short_label, shown_value, value_of
from dashboards.page.chart import Charts
from dashboards.page.pairs import by_pair, place_tag
from orchestrator.results.configuration_summary import ConfigurationSummary
from orchestrator.store.schema import RepeatState

_SIDE, _STEP, _PER_ROW = 9, 12, 5
"""Size of a mark and distance to the next, in pixels; marks in a row."""


def progress_tables(figure: Figure, source: Source, choice: Choice, charts: Charts) -> str:
    """The tables of all facets of a backbone, for each pair of settings; the page's script seats the cells in those
    that are shown."""
    tag = place_tag(source, choice)
    cells: dict[str, str] = {}
    for row in figure.data(source, choice).to_dict("records"):
        mark = f"cell-{tag}-{len(cells)}"
        cells[row["configuration"]] = f'<td data-cell="{mark}">{_cell(row, mark)}</td>'
    seats = {name: f"{cell[: cell.index('>')]}></td>" for name, cell in cells.items()}

    def block(pair: Pair) -> str:
        facets = source.facets(replace(choice, pair=pair))
        filled = cells if pair == source.pairs[0] else seats
        return "".join(
            _table(facet.name, pair, [(member, filled[whole_name(member)]) for member in members])
            for facet, members in facets.items()
        )

    return by_pair(figure, source, lambda pair: f'<div class="panels wide">{block(pair)}</div>') if cells else ""


def _table(title: str, pair: Pair, cells: Sequence[tuple[ConfigurationSummary, str]]) -> str:
    """The HTML table of a facet."""
    at = {
        (shown_value(member.configuration, pair.rows), shown_value(member.configuration, pair.columns)): cell
        for member, cell in cells
    }
    rows, columns = ordered(pair.rows, (row for row, _ in at)), ordered(pair.columns, (column for _, column in at))
    head = "".join(f'<th scope="col">{text(value_of(pair.columns, value))}</th>' for value in columns)
    body = []
    for row in rows:
        line = "".join(at.get((row, column), "<td></td>") for column in columns)
        body.append(f'<tr><th scope="row">{text(value_of(pair.rows, row))}</th>{line}</tr>')
    across, down = (text(short_label(name)) for name in (pair.columns, pair.rows))
    return (
        f'<div class="panel"><h4>{text(title)}</h4><div class="scroll" tabindex="0" role="region" '
        f'aria-label="Progress, {text(title)}"><table class="progress"><thead><tr>'
        f'<th scope="col"><span class="corner">{down} ↓ {across} →</span></th>{head}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table></div></div>"
    )


def progress_key() -> str:
    """What the marks mean."""
    marks = "".join(f"<li>{_marks((state,))} {name}</li>" for state, name in STATES.items())
    return f'<ul class="key" aria-label="Key">{marks}</ul>'


def _cell(row: Mapping[Hashable, Any], mark: str) -> str:
    states: tuple[RepeatState, ...] = row["states"]
    others = ", ".join(
        f"{row[state.value]} {name}" for state, name in STATES.items() if row[state.value] and name != "done"
    )
    label = f"{row['configuration']}: {row['done']} of {row['asked']} repeats done" + (f", {others}" if others else "")
    marks = _marks(states, label) if len(states) <= MOST else _bar(row["done"] / row["asked"], label)
    return f'<span class="cell" id="{mark}" title="{text(label)}">{marks}<b>{row["done"]}/{row["asked"]}</b></span>'


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
    if state is RepeatState.STOPPED:
        half = side / 2
        return f"M{x + half:g} {y}l{half:g} {half:g}l-{half:g} {half:g}l-{half:g} -{half:g}z"
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
