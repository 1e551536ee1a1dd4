"""Train against valid: a mark per configuration, and how far it is from no gap."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dashboards.figures.choice import REACH, SCORES, Choice, Source
from dashboards.figures.declaration import Figure, OnPage, Per
from dashboards.figures.far_out import count_beyond, far_note, far_words, is_told_apart, top_of
from dashboards.figures.limits import ends
from dashboards.figures.markup import METRIC_NAMES, plot_text, whole_name
from dashboards.figures.palette import MUTED, STRATEGY_COLOURS, STRATEGY_MARKS, Spec, axis, layout, legend
from dashboards.figures.spread import CONTROL
from orchestrator.results.names import counted
from search_spaces.presets import shown_strategy


def gap_data(source: Source, choice: Choice) -> pd.DataFrame:
    """One row per configuration with a result: strategy, where it lies, train and valid mean, gap, n.

    A mean may be infinite, and its gap is not a number then.
    """
    rows = []
    for member in source.members(choice):
        train, valid = (member.score(choice.score, split) for split in ("train", "valid"))
        if train is None or valid is None or math.isnan(train.mean + valid.mean):
            continue
        where, is_finite = whole_name(member), math.isfinite(train.mean + valid.mean)
        gap = float(np.mean(valid.values - train.values)) if is_finite else math.nan
        rows.append((member.configuration.strategy, where, train.mean, valid.mean, gap, valid.std, member.n))
    data = pd.DataFrame(rows, columns=["strategy", "configuration", "train", "valid", "gap", "valid_std", "n"])
    is_drawn = data["gap"].notna().any() and is_told_apart(_means(_finite(data)), choice)
    return data if is_drawn else data.iloc[:0]


def _finite(data: pd.DataFrame) -> pd.DataFrame:
    finite: pd.DataFrame = data[np.isfinite(data[["train", "valid"]].to_numpy(dtype=float)).all(axis=1)]
    return finite


def _means(data: pd.DataFrame) -> list[NDArray[np.float64]]:
    return [data[split].to_numpy(dtype=float) for split in ("train", "valid")]


def gap_figure(data: pd.DataFrame, choice: Choice) -> Spec:
    """Train across, valid up, a mark per configuration; on the diagonal there is no gap.

    A loss that is far out stands at the edge, an infinite one nowhere, and a sentence says how many do.
    """
    name = METRIC_NAMES[choice.score].lower()
    several, data = len(data), _finite(data)
    means = _means(data)
    larger = np.maximum(*means)
    low, high = ends(float(np.minimum(*means).min()), top_of(means, choice))
    margin = 0.05 * (high - low)
    traces: list[Spec] = [
        {
            "type": "scatter",
            "mode": "lines",
            "name": "no gap",
            "x": [low, high],
            "y": [low, high],
            "line": {"color": MUTED, "width": 1, "dash": "dash"},
            "hoverinfo": "skip",
        }
    ]
    strategies = np.array(data["strategy"].tolist())
    words = [plot_text(configuration) for configuration in data["configuration"].tolist()]
    numbers = {name: data[name].to_numpy() for name in ("train", "valid", "gap", "n")}
    edge = high + margin
    for strategy, symbol in STRATEGY_MARKS.items():
        mine = np.flatnonzero(strategies == strategy)
        if not len(mine):
            continue
        part = {name: values[mine] for name, values in numbers.items()}
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": shown_strategy(strategy),
                "x": part["train"].clip(None, edge),
                "y": part["valid"].clip(None, edge),
                "marker": {"size": 8, "symbol": f"{symbol}-open", "color": STRATEGY_COLOURS[strategy]},
                "customdata": np.stack([part["train"], part["valid"], part["gap"], part["n"]], axis=1),
                "text": [words[row] for row in mine],
                "hovertemplate": "%{text}<br>train %{customdata[0]:.4f}, valid %{customdata[1]:.4f}<br>"
                "gap %{customdata[2]:.4f}, n = %{customdata[3]}<extra></extra>",
            }
        )
    x = axis(title={"text": f"train {name}"}, nticks=6, range=[low - margin, edge + margin])
    y = axis(title={"text": f"valid {name}"}, nticks=6, range=[low - margin, edge + margin])
    words_of_far = far_words(count_beyond(larger, high), several, float(larger.max()), several - len(data))
    notes = far_note(words_of_far, y=0, yanchor="bottom")
    spec = layout(400, xaxis=x, yaxis=y, showlegend=True, legend=legend(), dragmode="zoom", annotations=notes)
    return {"data": traces, "layout": {**spec, "margin": {"l": 56, "r": 12, "t": 34, "b": 44}}}


def _absent(source: Source, choice: Choice) -> str:
    several = [score for member in source.members(choice) if (score := member.score(choice.score, "valid"))]
    return f"The mean losses of all {counted(len(several), 'configuration')} are infinite." if several else ""


FIGURE = Figure(
    name="gap",
    section="spread",
    title="Train against valid",
    reading="Each mark is one configuration: its train and validation means over n repeats at their selected epochs. "
    "On the dashed line there is no gap between train and valid.",
    how="A loss far above most stands at the edge of the figure; the table has its value. An infinite mean is counted "
    "and not drawn.",
    data=gap_data,
    draw=gap_figure,
    label=lambda data, choice: f"Train against valid, {SCORES[choice.score].lower()}.",
    per=Per.BACKBONE,
    scores=tuple(METRIC_NAMES),
    reaches=tuple(REACH),
    page=OnPage(controls=(CONTROL,), min_width=340, absent=_absent),
)
