"""Rungs, screens and looks as a flow: how many configurations went on from one to the next, and how many stopped."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from dashboards.figures.choice import Choice, Source
from dashboards.figures.declaration import Figure, OnPage, Per
from dashboards.figures.markup import in_lines
from dashboards.figures.palette import INK, PAPER, TRAIN, UNTRAINED, VALID, Spec, axis, layout, legend
from orchestrator.results.names import counted
from orchestrator.statistics.audits import audit_of

COLUMNS = [
    "decision", "epochs", "repeats", "entered", "went_on", "stopped", "checked", "reason", "next_reason", "ends",
]  # fmt: skip
_LETTERS = 48


def rung_data(source: Source, choice: Choice) -> pd.DataFrame:
    """One row per stage, first one on top; empty where nothing was stopped.

    epochs, repeats: asked of each configuration by then ("3", "4–6"). entered = went_on + stopped; checked: of those
    that stopped, trained to the end as a check. decision, reason: the first of the stage; next_reason: why those that
    went on did, "" where there is no further stage: went_on were not stopped then.
    ends: ids of those whose last stage it is, of each of the three parts. attrs["audit"]: what the checks showed, in
    sentences.
    """
    course = source.courses.get(choice.search)
    stages = course.stages if course is not None and course.stops else []
    following = [*(stage.reason for stage in stages), ""][1:]
    rows = [
        (
            stage.number,
            stage.epochs,
            stage.repeats,
            len(stage.entered),
            len(stage.entered - stage.stopped),
            len(stage.stopped),
            len(stage.checked),
            stage.reason,
            reason,
            (
                tuple(sorted(stage.entered - stage.stopped)) if not reason else (),
                tuple(sorted(stage.stopped - stage.checked)),
                tuple(sorted(stage.checked)),
            ),
        )
        for stage, reason in zip(stages, following, strict=True)
    ]
    data = pd.DataFrame(rows, columns=COLUMNS)
    audit = audit_of(course) if course is not None else None
    data.attrs["audit"] = audit.said if audit is not None else ""
    return data


def rung_figure(data: pd.DataFrame, choice: Choice) -> Spec:
    """A bar per stage, as long as there are configurations in it, divided by what became of them."""
    rows = data.to_dict("records")
    unchecked = data["stopped"] - data["checked"]
    parts = (
        ("went on", TRAIN, data["went_on"], [_went_on(row) for row in rows]),
        ("stopped here", UNTRAINED, unchecked, [_stopped(row, row["stopped"] - row["checked"]) for row in rows]),
        ("stopped here, to the end as a check", VALID, data["checked"], [_checked(row) for row in rows]),
    )
    place = np.arange(len(data))
    traces: list[Spec] = [
        {
            "type": "bar",
            "orientation": "h",
            "name": name,
            "x": counts.to_numpy(),
            "y": place,
            "text": [str(count) if count else "" for count in counts],
            "hovertext": words,
            "textposition": "inside",
            "insidetextanchor": "middle",
            "textangle": 0,
            "insidetextfont": {"color": PAPER, "size": 12},
            "marker": {"color": colour},
            "hovertemplate": "%{hovertext}<extra></extra>",
        }
        for name, colour, counts, words in parts
        if counts.any()
    ]
    traces.append(_ends(rows))
    names = [f"{_many(row['epochs'], 'epoch')}<br>{_many(row['repeats'], 'repeat')}" for row in rows]
    spec = layout(
        110 + 46 * len(data),
        barmode="stack",
        bargap=0.3,
        xaxis=axis(title={"text": "configurations"}, nticks=6, rangemode="tozero"),
        yaxis={**axis(tickvals=place, ticktext=names, showgrid=False, range=[len(data) - 0.5, -0.5]), "color": INK},
        uniformtext={"mode": "hide", "minsize": 10},
        showlegend=True,
        legend=legend(traceorder="normal"),
        hovermode="closest",
    )
    return {"data": traces, "layout": {**spec, "margin": {"l": 56, "r": 14, "t": 34, "b": 44}}}


def _ends(rows: Sequence[Mapping[Hashable, Any]]) -> Spec:
    """Where each configuration came to its end: nothing to see, until one of them is marked."""
    x, y, ids = list[float](), list[int](), list[str]()
    for place, row in enumerate(rows):
        left = 0
        for part, count in zip(
            row["ends"], (row["went_on"], row["stopped"] - row["checked"], row["checked"]), strict=True
        ):
            x += [left + (number + 0.5) * count / len(part) for number in range(len(part))]
            y += [place] * len(part)
            ids += part
            left += count
    hidden = {"type": "scatter", "mode": "markers", "marker": {"opacity": 0}, "hoverinfo": "skip", "showlegend": False}
    return {**hidden, "x": x, "y": y, "meta": {"ids": ids}}


def _many(span: str, what: str) -> str:
    """`1 repeat`, `4–6 epochs`."""
    return f"{span} {what}{'' if span == '1' else 's'}"


def _went_on(row: Mapping[Hashable, Any]) -> str:
    told = f"{row['went_on']} of {row['entered']}"
    if not row["next_reason"]:
        return f"{told} were not stopped<br>{in_lines(str(row['reason']), _LETTERS)}"
    return f"{told} went on<br>{in_lines(str(row['next_reason']), _LETTERS)}"


def _stopped(row: Mapping[Hashable, Any], count: int) -> str:
    after = f"{_many(row['repeats'], 'repeat')}, {_many(row['epochs'], 'epoch')}"
    unknown = "its final score is" if count == 1 else "their final scores are"
    return (
        f"{count} stopped by the search after {after}:<br>{unknown} unknown<br>"
        f"{in_lines(str(row['next_reason']), _LETTERS)}"
    )


def _checked(row: Mapping[Hashable, Any]) -> str:
    told = f"{row['checked']} of the {row['stopped']} that stopped, drawn by the seed,"
    return f"{told}<br>trained to the end as a check"


def _sentence(data: pd.DataFrame, choice: Choice) -> str:
    first, last = data.iloc[0], data.iloc[-1]
    stopped, left = int(data["stopped"].sum()), int(last["went_on"])
    several = counted(int(first["entered"]), "configuration")
    told = (
        f"{stopped} of {several} {'was' if stopped == 1 else 'were'} stopped by the search, {left} went on to the last."
    )
    return " ".join(filter(None, [told, data.attrs.get("audit", "")]))


FIGURE = Figure(
    name="rungs",
    section="search",
    title="Who went on",
    reading="Each bar is all configurations that had been trained for that many epochs and repeats without being "
    "stopped, divided by what became of them. The final score of a stopped configuration is unknown, unless it was "
    "trained to the end as a check.",
    data=rung_data,
    draw=rung_figure,
    label=lambda data, choice: f"How many configurations went on at each of {len(data)} stages.",
    per=Per.SEARCH,
    scores=(),
    page=OnPage(sentence=_sentence),
)
