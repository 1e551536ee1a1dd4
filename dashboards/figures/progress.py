"""Progress: for every configuration the repeats done of those asked, one mark per repeat, told apart by shape."""

from __future__ import annotations

import pandas as pd

from dashboards.figures.choice import Choice, Source
from dashboards.figures.declaration import Figure, Form, OnPage, Per
from dashboards.figures.markup import plot_text, whole_name
from dashboards.figures.palette import MUTED, TRAIN, VALID, Spec, axis, layout, legend
from dashboards.figures.setting_text import label_of, ordered, shown_value, value_of
from orchestrator.store.schema import RepeatState

_PER_ROW = 5
"""Marks in a row."""
MOST = 40
"""With more repeats than this a bar replaces the marks."""

STATES = {
    RepeatState.FINISHED: "done",
    RepeatState.STOPPED: "stopped early (done)",
    RepeatState.DIVERGED: "diverged (done)",
    RepeatState.RUNNING: "running",
    RepeatState.FAILED: "failed",
    RepeatState.WAITING: "waiting",
}
_SYMBOLS = {
    RepeatState.FINISHED: ("square", TRAIN),
    RepeatState.STOPPED: ("diamond", TRAIN),
    RepeatState.DIVERGED: ("triangle-up", VALID),
    RepeatState.RUNNING: ("square-cross-open", TRAIN),
    RepeatState.FAILED: ("x-thin-open", VALID),
    RepeatState.WAITING: ("square-open", MUTED),
}


def progress_data(source: Source, choice: Choice) -> pd.DataFrame:
    """One row per configuration: facet, the two settings, configuration, asked, done, and how many repeats are in each
    state.

    numbers, states: of every repeat its number and state, in their order. cause: of the first failure, one line.
    """
    facets = source.facets(choice)
    shown = facets if choice.facet is None else {choice.facet: facets.get(choice.facet, [])}
    rows = []
    for facet, members in shown.items():
        for member in members:
            counts = {state: member.count(state) for state in RepeatState}
            rows.append(
                {
                    "facet": facet.name,
                    **{name: shown_value(member.configuration, name) for name in choice.pair},
                    "configuration": whole_name(member),
                    "asked": member.asked,
                    "done": sum(count for state, count in counts.items() if state.has_result()),
                    **{state.value: count for state, count in counts.items()},
                    "numbers": tuple(standing.repeat for standing in member.standings),
                    "states": tuple(standing.state for standing in member.standings),
                    "cause": next((standing.cause for standing in member.standings if standing.cause), ""),
                }
            )
    return pd.DataFrame(rows)


def progress_figure(data: pd.DataFrame, choice: Choice) -> Spec:
    """One mark per repeat asked, one setting down and one across, one facet."""
    rows, columns = (ordered(name, data[name]) for name in choice.pair)
    places: dict[RepeatState, list[tuple[float, float, str]]] = {}
    notes: list[Spec] = []
    for row in data.to_dict("records"):
        x, y = columns.index(row[choice.pair.columns]), rows.index(row[choice.pair.rows])
        notes.append(
            {
                "x": x,
                "y": y + 0.3,
                "text": f"{row['done']}/{row['asked']}",
                "showarrow": False,
                "font": {"size": 11, "color": MUTED},
            }
        )
        for place, (number, state) in enumerate(list(zip(row["numbers"], row["states"], strict=True))[:MOST]):
            at = x - 0.3 + 0.15 * (place % _PER_ROW), y - 0.3 + 0.14 * (place // _PER_ROW)
            places.setdefault(state, []).append((*at, f"{plot_text(row['configuration'])}, repeat {number}"))
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
    across, down = (
        axis(
            tickvals=list(range(len(values))),
            ticktext=[plot_text(value_of(name, value)) for value in values],
            title={"text": label_of(name)},
        )
        for name, values in ((choice.pair.columns, columns), (choice.pair.rows, rows))
    )
    spec = layout(
        100 + 70 * len(rows),
        xaxis={**across, "showgrid": False, "range": [-0.5, len(columns) - 0.5]},
        yaxis={**down, "showgrid": False, "range": [len(rows) - 0.4, -0.6]},
        annotations=notes,
        showlegend=True,
        legend=legend(),
    )
    return {"data": traces, "layout": {**spec, "margin": {"l": 56, "r": 12, "t": 34, "b": 44}}}


_READING = "One mark for each repeat asked for, and the number of repeats done of those, for every configuration."

FIGURE = Figure(
    name="progress",
    section="progress",
    title="Repeats done of those asked for",
    reading=_READING,
    data=progress_data,
    draw=progress_figure,
    label=lambda data, choice: (
        f"{data['done'].sum()} of {data['asked'].sum()} repeats done, by "
        f"{label_of(choice.pair.rows)} and {label_of(choice.pair.columns)}."
    ),
    per=Per.FACET,
    page=OnPage(
        form=Form.TABLES,
        reading_on_top=f"{_READING} There is one table for each combination of the other settings.",
    ),
)
