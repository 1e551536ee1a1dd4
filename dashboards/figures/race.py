"""The race: at each look how far those that were left were from the leader, with intervals that narrow."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from dashboards.figures.choice import Choice, Source
from dashboards.figures.declaration import Figure, OnPage, Per
from dashboards.figures.markup import METRIC_NAMES, in_lines
from dashboards.figures.palette import HEAT, INK, MUTED, Spec, axis, layout, legend
from orchestrator.results.names import counted
from orchestrator.statistics.race_looks import race_looks

SHOWN = 20
"""Configurations drawn; the table of the data has them all."""
COLUMNS = [
    "look", "repeats", "level", "configuration", "id", "score", "difference", "low", "high", "n", "standing",
]  # fmt: skip
_LETTERS = 34
_APART = 0.24
"""Between the looks of one configuration, of the space between two configurations."""


def race_data(source: Source, choice: Choice) -> pd.DataFrame:
    """One row per look and configuration that was left before it: the leader of the last look first, then by how long
    they were left and the difference then.

    difference: mean paired difference to the leader of that look over its first repeats that diverged in neither,
    negative is worse whatever the metric; low and high bound it at 95 % (Student's t over n pairs). standing: leader,
    left, or excluded by that look, at the level that is its share of the error.
    """
    course = source.courses.get(choice.search)
    rows: list[tuple[Any, ...]] = []
    for number, one in enumerate(race_looks(course) if course else (), 1):
        for place, name in enumerate(one.names):
            standing = "leader" if place == one.leader else "excluded" if one.excluded[place] else "left"
            rows.append(
                (number, one.look.repeats, one.look.level, source.names.get(name, name), name,
                 course.metric if course else "", one.away.mean[place], one.away.low[place], one.away.high[place],
                 int(one.away.n[place]), standing)
            )  # fmt: skip
    data = pd.DataFrame(rows, columns=COLUMNS)
    last = data.groupby("id")["look"].transform("max")
    final = data["id"].map(data[data["look"] == last].set_index("id")["difference"])
    order = np.lexsort((data["look"], -final, -last))
    return data.iloc[order].reset_index(drop=True)


def race_figure(data: pd.DataFrame, choice: Choice) -> Spec:
    """A row per configuration, in it an interval for each look, the last one lowest and strongest."""
    ids = list(dict.fromkeys(data["id"]))[:SHOWN]
    part = data[data["id"].isin(ids)]
    looks = sorted(set(data["look"]))
    traces = []
    for look in looks:
        mine = part[part["look"] == look].sort_values("standing", ascending=False, kind="stable")
        colour = HEAT[max(2, len(HEAT) - 1 - len(looks) + look)]
        shift = _APART * (look - (len(looks) + 1) / 2)
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": f"{mine['repeats'].iloc[0]} repeats" if len(mine) else f"look {look}",
                "x": mine["difference"].to_numpy(),
                "y": np.array([ids.index(name) + shift for name in mine["id"]]),
                "error_x": {
                    "type": "data",
                    "symmetric": False,
                    "array": (mine["high"] - mine["difference"]).fillna(0).to_numpy(),
                    "arrayminus": (mine["difference"] - mine["low"]).fillna(0).to_numpy(),
                    "thickness": 1.6,
                    "width": 3,
                    "color": colour,
                },
                "marker": {
                    "size": 8,
                    "color": colour,
                    "symbol": [_SYMBOLS[standing] for standing in mine["standing"]],
                    "line": {"width": 1.6, "color": colour},
                },
                "text": [_words(row) for row in mine.to_dict("records")],
                "hovertemplate": "%{text}<extra></extra>",
                "meta": {"ids": mine["id"].tolist()},
            }
        )
    names = [in_lines(part.loc[part["id"] == name, "configuration"].iloc[0], _LETTERS) for name in ids]
    lines = 1 + max(name.count("<br>") for name in names)
    place = np.arange(len(ids))
    zero = {"type": "line", "x0": 0, "x1": 0, "y0": 0, "y1": 1, "yref": "paper", "line": {"color": MUTED, "width": 1}}
    title = f"{METRIC_NAMES[data['score'].iloc[0]]} against the leader<br>(left is worse)"
    spec = layout(
        118 + (12 + 14 * max(lines, len(looks))) * len(ids),
        xaxis=axis(title={"text": title}, tickangle=0, range=_range(part)),
        yaxis={**axis(tickvals=place, ticktext=names, range=[len(ids) - 0.5, -0.5], showgrid=False), "color": INK},
        shapes=[{**zero, "layer": "below"}],
        showlegend=True,
        legend=legend(traceorder="normal"),
        hovermode="closest",
    )
    return {"data": traces, "layout": {**spec, "margin": {"l": 56, "r": 14, "t": 34, "b": 58}}}


_SYMBOLS = {"leader": "diamond", "left": "circle", "excluded": "circle-open"}


def _range(part: pd.DataFrame) -> list[float]:
    """Whole intervals of those that were left, and of the excluded the ends nearest to the leader."""
    is_left = part["standing"] != "excluded"
    low = min(part["low"].where(is_left, part["high"]).min(), part["difference"].where(is_left, 0.0).min())
    high = max(part["high"].max(), part["difference"].max())
    low, high = (0.0 if math.isnan(end) else float(end) for end in (low, high))
    away = (high - low) or 1.0
    return [min(low, 0.0) - 0.12 * away, max(high, 0.0) + 0.05 * away]


def _words(row: Mapping[Hashable, Any]) -> str:
    told = f"look {row['look']}, {row['repeats']} repeats: {row['standing']}"
    if row["standing"] == "excluded":
        told += f" (p ≤ {row['level']:.4f})"
    interval = "" if math.isnan(row["low"]) else f" ({row['low']:.4f} to {row['high']:.4f})"
    name = in_lines(str(row["configuration"]), 48)
    return f"{name}<br>{told}<br>difference {row['difference']:.4f}{interval}, n = {row['n']} pairs"


def _sentence(data: pd.DataFrame, choice: Choice) -> str:
    last = data[data["look"] == data["look"].max()]
    left = int((last["standing"] != "excluded").sum())
    several = data["id"].nunique()
    told = (
        f"After {last['repeats'].iloc[0]} repeats {left} of {counted(several, 'configuration')} raced may be the best."
    )
    return told + (f" The figure shows the first {SHOWN}; the data table has all of them." if several > SHOWN else "")


FIGURE = Figure(
    name="race",
    section="search",
    title="Race",
    reading="Each interval is a configuration’s mean paired difference to the leader of a look (diamond) with its 95 % "
    "interval (Student’s t over n pairs). An open mark was excluded by that look.",
    how="A look compares the configurations that were left before it. It tests all of them together and spends its own "
    "share of the error, so an interval that does not reach 0 does not exclude a configuration by itself.",
    data=race_data,
    draw=race_figure,
    label=lambda data, choice: f"Differences to the leader at each look of the race. {_sentence(data, choice)}",
    per=Per.SEARCH,
    scores=(),
    page=OnPage(sentence=_sentence, min_width=340),
)
