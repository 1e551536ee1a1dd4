"""Train against valid: a mark per configuration, and how far it is from no gap."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from dashboards.figures.choice import SCORES, Choice, Source, is_loss
from dashboards.figures.declaration import Figure, OnPage, Per
from dashboards.figures.limits import ends, reach
from dashboards.figures.markup import METRIC_NAMES, plot_text, whole_name
from dashboards.figures.palette import MUTED, STRATEGY_COLOURS, STRATEGY_MARKS, Spec, axis, layout, legend
from dashboards.figures.spread import CONTROL


def gap_data(source: Source, choice: Choice) -> pd.DataFrame:
    """One row per configuration with a result: strategy, where it lies, train and valid mean, gap, n."""
    rows = []
    for member in source.members(choice):
        train, valid = (member.score(choice.score, split) for split in ("train", "valid"))
        if train is None or valid is None or not math.isfinite(train.mean + valid.mean):
            continue
        where = whole_name(member)
        gap = float(np.mean(valid.values - train.values))
        rows.append((member.configuration.strategy, where, train.mean, valid.mean, gap, valid.std, member.n))
    return pd.DataFrame(rows, columns=["strategy", "configuration", "train", "valid", "gap", "valid_std", "n"])


def gap_figure(data: pd.DataFrame, choice: Choice) -> Spec:
    """Train across, valid up, a mark per configuration; on the diagonal there is no gap.

    A loss that is far out stands at the edge, and a sentence says how many do.
    """
    name = METRIC_NAMES[choice.score].lower()
    means = {split: data[split].to_numpy(dtype=float) for split in ("train", "valid")}
    values = np.concatenate(list(means.values()))
    most = max(map(reach, means.values())) if is_loss(choice.score) else float(values.max())
    low, high = ends(float(values.min()), most)
    margin = 0.05 * (high - low)
    beyond = int((np.maximum(means["train"], means["valid"]) > high).sum())
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
                "name": strategy,
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
    notes = [_far_out(beyond, len(data), float(values.max()))] if beyond else []
    spec = layout(400, xaxis=x, yaxis=y, showlegend=True, legend=legend(), dragmode="zoom", annotations=notes)
    return {"data": traces, "layout": {**spec, "margin": {"l": 56, "r": 12, "t": 34, "b": 44}}}


def _far_out(beyond: int, of: int, most: float) -> Spec:
    """What stands in the corner that is below no gap."""
    stand = "stands" if beyond == 1 else "stand"
    return {
        "text": f"{beyond} of {of} {stand} at the edge: far out, up to {most:.3g}",
        "x": 1,
        "y": 0,
        "xref": "paper",
        "yref": "paper",
        "xanchor": "right",
        "yanchor": "bottom",
        "showarrow": False,
        "font": {"size": 11, "color": MUTED},
    }


FIGURE = Figure(
    name="gap",
    section="spread",
    title="Train against valid",
    reading="Each mark is one configuration: its train and validation means over n repeats at their selected epochs. "
    "On the dashed line there is no gap between train and valid.",
    how="A loss far above most stands at the edge of the figure; the table has its value.",
    data=gap_data,
    draw=gap_figure,
    label=lambda data, choice: f"Train against valid, {SCORES[choice.score].lower()}.",
    per=Per.BACKBONE,
    scores=tuple(METRIC_NAMES),
    page=OnPage(controls=(CONTROL,), min_width=340),
)
