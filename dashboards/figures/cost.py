"""Score against cost: which configurations nothing beats in both, and how sure that is."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from dashboards.figures.choice import Choice, Source
from dashboards.figures.declaration import Control, Figure, OnPage, Per
from dashboards.figures.markup import METRIC_NAMES, in_lines
from dashboards.figures.palette import MUTED, TRAIN, VALID, Spec, axis, layout, legend
from dashboards.figures.search_settings import CONTROL
from orchestrator.results.goals import COSTS
from orchestrator.results.names import words
from orchestrator.results.summary import Summary
from orchestrator.statistics.front import MAY_BE, front, goal_of_searches
from search_spaces.settings.data import TASKS

COLUMNS = [
    "configuration", "id", "n", "mean", "standard_error", "against", "cost", "cost_error", "on_front", "chance",
]  # fmt: skip
AGAINST = {**COSTS, "second": "a second metric"}
_FAR = 20
"""Costs that differ by more than this factor are drawn by their logarithm."""
_LETTERS = 48


def second_metric(summary: Summary, score: str) -> str:
    """What a search weighed against the score where that is a metric, else the first other one that the task is told
    by."""
    goal = goal_of_searches(summary)
    if goal and goal not in COSTS and goal != score:
        return goal
    return next(str(name) for name in TASKS.variants[summary.study.task].metrics if name != score)


def opening_cost(summary: Summary) -> str:
    """What the last search with a second goal weighed against the score: a key of AGAINST, "" without one."""
    goal = goal_of_searches(summary)
    return goal if goal in COSTS or not goal else "second"


def cost_data(source: Source, choice: Choice) -> pd.DataFrame:
    """One row per ranked configuration of a partition, in the order of the ranks.

    mean: validation score at selected epochs over n repeats; cost: mean of hours of training per repeat, trained
    parameters, or mean of a second metric (`against` names it); both with the standard error of their mean (0 for
    parameters). on_front: nothing else is as good in both and better in one. chance: of being there when repeats are
    drawn anew, see `orchestrator.statistics.pareto`.
    """
    weighed = front(source.summary, source.members(choice), choice.score, _named(source.summary, choice))
    rows = []
    columns = (weighed.members, weighed.values, weighed.errors, weighed.is_there, weighed.chances)
    for member, pair, error, is_there, chance in zip(*columns, strict=True):
        (mean, cost), title = pair.mean(axis=0), source.names[member.id]
        own = [title, member.id, len(pair), mean, error[0], weighed.goal, cost, error[1], bool(is_there), float(chance)]
        rows.append(own)
    return pd.DataFrame(rows, columns=COLUMNS)


def _named(summary: Summary, choice: Choice) -> str:
    return second_metric(summary, choice.score) if choice.against == "second" else choice.against


def cost_figure(data: pd.DataFrame, choice: Choice) -> Spec:
    """Cost across, score up: the front as steps, what may be on it with standard errors, and the others."""
    front = data["on_front"].to_numpy(dtype=bool)
    may_be = ~front & (data["chance"].to_numpy(dtype=float) >= MAY_BE)
    steps = data[front].sort_values("cost", kind="stable")
    against = str(data["against"].iloc[0])
    is_metric = against in METRIC_NAMES
    traces: list[Spec] = [
        _marks(data[~front & ~may_be], "beaten in both", {"size": 6, "color": MUTED, "symbol": "circle-open"}, False),
        {
            "type": "scatter",
            "mode": "lines",
            "x": steps["cost"].to_numpy(),
            "y": steps["mean"].to_numpy(),
            "line": {"color": VALID, "width": 1.4, "shape": "linear" if is_metric else "hv"},
            "hoverinfo": "skip",
            "showlegend": False,
        },
        _marks(data[may_be], "may be on the front", {"size": 8, "color": TRAIN, "symbol": "circle"}, True),
        _marks(data[front], "on the front", {"size": 10, "color": VALID, "symbol": "diamond"}, True),
    ]
    across = f"valid {words(against)}" if is_metric else AGAINST[against]
    score = METRIC_NAMES[choice.score].lower()
    spec = layout(
        380,
        xaxis=axis(title={"text": across}, nticks=6, **_range(data, is_metric)),
        yaxis=axis(title={"text": f"valid {score}"}, nticks=6),
        showlegend=True,
        legend=legend(traceorder="normal"),
        hovermode="closest",
    )
    return {
        "data": [one for one in traces if len(one["x"])],
        "layout": {**spec, "margin": {"l": 56, "r": 14, "t": 34, "b": 44}},
    }


def _range(data: pd.DataFrame, is_metric: bool) -> Spec:
    """Hours and parameters from 0 on, or by their logarithm; of a metric what plotly finds."""
    cost = data["cost"].to_numpy(dtype=float)
    if is_metric:
        return {}
    if cost.min() > 0 and cost.max() / cost.min() > _FAR:
        return {"type": "log", "dtick": 1}
    return {"range": [0.0, 1.1 * float((cost + data["cost_error"].fillna(0)).max()) or 1.0]}


def _marks(part: pd.DataFrame, name: str, marker: Spec, has_errors: bool) -> Spec:
    errors = {
        f"error_{way}": {
            "type": "data",
            "array": part[column].fillna(0).to_numpy(),
            "thickness": 1.2,
            "width": 3,
            "color": marker["color"],
        }
        for way, column in (("x", "cost_error"), ("y", "standard_error"))
        if has_errors
    }
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": part["cost"].to_numpy(),
        "y": part["mean"].to_numpy(),
        "text": [_words(row) for row in part.to_dict("records")],
        "marker": marker,
        "hovertemplate": "%{text}<extra></extra>",
        "meta": {"ids": part["id"].tolist()},
        **errors,
    }


def _words(row: Mapping[Hashable, Any]) -> str:
    error = "" if np.isnan(row["standard_error"]) else f" ± {row['standard_error']:.4f} (standard error)"
    label = AGAINST.get(row["against"], f"valid {words(row['against'])}")
    return (
        f"{in_lines(str(row['configuration']), _LETTERS)}<br>score {row['mean']:.4f}{error}, n = {row['n']}<br>"
        f"{label} {row['cost']:.4g}<br>on the front in {row['chance']:.0%} of draws"
    )


CONTROL_AGAINST = Control("against", "Against", AGAINST, sets="against", opens_on=opening_cost)
FIGURE = Figure(
    name="cost",
    section="search",
    title="Score against cost",
    reading="Each mark is a ranked configuration: its mean validation score at the selected epochs against its cost. A "
    "configuration is on the front if none beats it in both; standard errors are drawn on the front and where a "
    "configuration may be on it.",
    how="A configuration may be on the front if 5 % or more of 500 resamplings of its repeats put it there. With few "
    "repeats, resampling varies too little.",
    data=cost_data,
    draw=cost_figure,
    label=lambda data, choice: (
        f"Validation score against {AGAINST[choice.against]}: {int(data['on_front'].sum())} of {len(data)} "
        "configurations are beaten by none in both."
    ),
    per=Per.PARTITION,
    scores=tuple(METRIC_NAMES),
    against=tuple(AGAINST),
    page=OnPage(controls=(CONTROL, CONTROL_AGAINST), least_rows=2),
)
