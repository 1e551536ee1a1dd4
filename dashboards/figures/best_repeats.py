"""Every repeat of the best configuration of each strategy and backbone."""

from __future__ import annotations

import numpy as np
import pandas as pd

from dashboards.figures.choice import SCORES, Choice, Source, best_of_each
from dashboards.figures.declaration import TRAIN_AND_VALID_MARKS, Figure, OnPage, Per
from dashboards.figures.markup import METRIC_NAMES, backbone_text, depth_text, plot_text, plus_minus, point_text
from dashboards.figures.palette import INK, MUTED, Spec, axis, layout
from dashboards.figures.strips import dots, row_axis, strip, ticks
from orchestrator.results.statistic import Statistic

SHOWN = 12
"""Configurations whose repeats are drawn."""


def repeats_data(source: Source, choice: Choice) -> pd.DataFrame:
    """Repeats of the best configuration of each strategy and backbone, the first SHOWN, at their selected epochs.

    Columns: place (0 is the best), strategy (with its depth), backbone, point, n, split, repeat, value.
    """
    rows = []
    members = best_of_each(source.members(choice), "strategy", "backbone")[:SHOWN]
    for place, member in enumerate(members):
        names = depth_text(member.depth), backbone_text(member.configuration.network.backbone)
        for split in ("train", "valid"):
            score = member.score(choice.score, split)
            for repeat, value in zip(member.with_result, score.values if score else (), strict=False):
                rows.append((place, *names, point_text(member), member.n, split, repeat, float(value)))
    return pd.DataFrame(rows, columns=["place", "strategy", "backbone", "point", "n", "split", "repeat", "value"])


def repeats_label(data: pd.DataFrame, choice: Choice) -> str:
    """What a screen reader says."""
    name = METRIC_NAMES[choice.score]
    first = data[(data["place"] == 0) & (data["split"] == "valid")]
    value = plus_minus(Statistic.of(first["value"].to_numpy()))
    label = f"{name} of every repeat of the best configurations."
    return label + (f" First: {first['strategy'].iloc[0]}, valid {value}, n = {len(first)}." if len(first) else "")


def repeats_figure(data: pd.DataFrame, choice: Choice) -> Spec:
    """Dots for repeats, a bar for mean ± std, per best configuration; train above, valid below."""
    traces: list[Spec] = []
    for split in ("train", "valid"):
        one = strip(data, split)
        statistics = [Statistic.of(values) for values in one.by_row]
        std = np.nan_to_num([statistic.std for statistic in statistics])
        bar = {"type": "data", "array": std, "thickness": 1.5, "width": 5, "color": INK}
        mean = np.array([statistic.mean for statistic in statistics])
        traces += [
            dots(one, split, choice.score),
            ticks(mean, one.rows, split, choice.score, "mean ± std", error_x=bar),
        ]
    places = data.drop_duplicates("place")
    names = [
        f"{plot_text(strategy)}<br><span style='color:{MUTED}'>{plot_text(backbone)}</span>"
        for strategy, backbone in zip(places["strategy"], places["backbone"], strict=True)
    ]
    across = axis(title={"text": METRIC_NAMES[choice.score]}, nticks=6)
    return {"data": traces, "layout": layout(74 + 58 * len(names), xaxis=across, yaxis=row_axis(names, 0.5))}


def _more(source: Source, choice: Choice) -> str:
    count = len(best_of_each(source.members(choice), "strategy", "backbone"))
    return f" Only the first {SHOWN} of the table’s {count} rows are drawn." if count > SHOWN else ""


FIGURE = Figure(
    name="best-repeats",
    section="answer",
    title="Repeats of the best configurations",
    reading="Each dot is one repeat at its selected epoch; each bar is the mean ± standard deviation (n − 1) over the "
    "n repeats of the table.",
    how="Bars describe retraining on this partition, not new patients.",
    data=repeats_data,
    draw=repeats_figure,
    label=repeats_label,
    per=Per.PARTITION,
    scores=(),
    page=OnPage(
        keys=(TRAIN_AND_VALID_MARKS,),
        min_width=340,
        heading=lambda data, choice: f"{SCORES[choice.score]} of their repeats",
        saved=lambda data, choice: f"{SCORES[choice.score]} of the best configurations",
        more=_more,
    ),
)
