"""How much repeats vary: every repeat of the best-ranked configurations, with their quartiles."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dashboards.figures.choice import SCORES, Choice, Source
from dashboards.figures.declaration import TRAIN_AND_VALID_MARKS, Control, Figure, OnPage, Per
from dashboards.figures.markup import METRIC_NAMES, depth_text, plot_text, rates_text
from dashboards.figures.palette import (
    MUTED,
    SPLIT_COLOURS,
    Spec,
    axis,
    layout,
)
from dashboards.figures.strips import dots, row_axis, strip, ticks

SHOWN = 24
"""Configurations drawn, best first."""


def spread_data(source: Source, choice: Choice) -> pd.DataFrame:
    """One row per repeat and split of the best-ranked SHOWN configurations, at the selected epoch.

    Columns: place (0 is the best), strategy, non_linearities, unfrozen, rates, others, split, repeat, value.
    """
    names = [
        "place",
        "strategy",
        "non_linearities",
        "unfrozen",
        "rates",
        "others",
        "split",
        "repeat",
        "value",
    ]
    found: dict[str, list[Any]] = {name: [] for name in names}
    ranked = [member for member in source.members(choice) if member.rank is not None][:SHOWN]
    for place, member in enumerate(ranked):
        for split in ("train", "valid"):
            score = member.score(choice.score, split)
            if score is None:
                continue
            where = (place, *member.depth, rates_text(member.configuration), member.others, split)
            for name, value in zip(names, where, strict=False):
                found[name] += [value] * score.n
            found["repeat"] += member.with_result
            found["value"] += score.values.tolist()
    return pd.DataFrame(found)


def spread_figure(data: pd.DataFrame, choice: Choice) -> Spec:
    """A row per configuration: quartiles as a bar, the median as a tick, each repeat as a dot."""
    traces: list[Spec] = []
    for split in ("train", "valid"):
        one = strip(data, split)
        rows, quartiles = one.rows, np.array([_quartiles(values) for values in one.by_row]).reshape(-1, 3)
        gap = np.full(len(rows), np.nan)
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "x": np.stack([quartiles[:, 0], quartiles[:, 2], gap], axis=1).ravel(),
                "y": np.stack([rows, rows, gap], axis=1).ravel(),
                "line": {"color": SPLIT_COLOURS[split][1], "width": 9},
                "hoverinfo": "skip",
                "showlegend": False,
            }
        )
        traces += [dots(one, split, choice.score), ticks(quartiles[:, 1], rows, split, choice.score, "median")]
    columns = (data[name].tolist() for name in ("strategy", "non_linearities", "unfrozen", "rates", "others"))
    first = np.unique(data["place"].to_numpy(), return_index=True)[1].tolist()
    settings = list(zip(*columns, strict=True))
    names = [
        plot_text(", ".join(filter(None, [depth_text((strategy, n, u)), others])))
        + f"<br><span style='color:{MUTED}'>{rates}</span>"
        for strategy, n, u, rates, others in (settings[row] for row in first)
    ]
    across = axis(title={"text": METRIC_NAMES[choice.score]}, nticks=7)
    spec = layout(64 + 32 * len(names), xaxis=across, yaxis=row_axis(names, 0.6))
    return {"data": traces, "layout": spec}


def _quartiles(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Lower quartile, median and upper quartile of what is finite, between the values next to them in proportion."""
    ordered = np.sort(values[np.isfinite(values)])
    if not len(ordered):
        return np.full(3, np.nan)
    found: NDArray[np.float64] = np.interp(np.arange(1, 4) / 4 * (len(ordered) - 1), np.arange(len(ordered)), ordered)
    return found


CONTROL = Control("spread", "Show", {score: SCORES[score] for score in METRIC_NAMES}, seldom=("macro_f1",))

FIGURE = Figure(
    name="spread",
    section="spread",
    title="Spread of repeats",
    reading="Each dot is one repeat at its selected epoch; the band is the middle half of a configuration’s n repeats, "
    "the tick their median. The best-ranked configurations come first, at most 24.",
    data=spread_data,
    draw=spread_figure,
    label=lambda data, choice: f"Repeats of the best-ranked configurations, {SCORES[choice.score].lower()}.",
    per=Per.BACKBONE,
    scores=tuple(METRIC_NAMES),
    page=OnPage(controls=(CONTROL,), keys=(TRAIN_AND_VALID_MARKS,), min_width=340),
)
