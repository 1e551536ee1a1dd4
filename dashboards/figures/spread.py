"""How much repeats vary: every repeat of the best-ranked configurations, with their quartiles."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dashboards.figures.choice import REACH, SCORES, Choice, Source
from dashboards.figures.declaration import TRAIN_AND_VALID_MARKS, Control, Figure, OnPage, Per
from dashboards.figures.far_out import count_beyond, far_note, far_words, is_told_apart, top_of
from dashboards.figures.limits import ends
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
    columns: dict[str, list[Any]] = {name: [] for name in names}
    ranked = [member for member in source.members(choice) if member.rank is not None][:SHOWN]
    for place, member in enumerate(ranked):
        for split in ("train", "valid"):
            score = member.score(choice.score, split)
            if score is None:
                continue
            where = (place, *member.depth, rates_text(member.configuration), member.others, split)
            for name, value in zip(names, where, strict=False):
                columns[name] += [value] * score.n
            columns["repeat"] += member.with_result
            columns["value"] += score.values.tolist()
    data = pd.DataFrame(columns)
    return data if is_told_apart(_values(data), choice) else data.iloc[:0]


def _values(data: pd.DataFrame) -> list[NDArray[np.float64]]:
    """The values of train and of valid."""
    return [data.loc[data["split"] == split, "value"].to_numpy(dtype=float) for split in ("train", "valid")]


def spread_figure(data: pd.DataFrame, choice: Choice) -> Spec:
    """A row per configuration: quartiles as a bar, the median as a tick, each repeat as a dot.

    A loss that is far out stands at the edge, an infinite one nowhere, and a sentence says how many do.
    """
    values = data["value"].to_numpy(dtype=float)
    finite = values[np.isfinite(values)]
    top = top_of(_values(data), choice)
    beyond = count_beyond(values, top)
    low, high = ends(float(finite.min()), top) if beyond else (0.0, np.inf)
    margin = 0.05 * (high - low)
    edge = high + margin
    traces: list[Spec] = []
    for split in ("train", "valid"):
        one = strip(data, split)
        rows, quartiles = one.rows, np.array([_quartiles(values) for values in one.by_row]).reshape(-1, 3)
        gap = np.full(len(rows), np.nan)
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "x": np.stack([quartiles[:, 0], quartiles[:, 2], gap], axis=1).ravel().clip(None, edge),
                "y": np.stack([rows, rows, gap], axis=1).ravel(),
                "line": {"color": SPLIT_COLOURS[split][1], "width": 9},
                "hoverinfo": "skip",
                "showlegend": False,
            }
        )
        medians = quartiles[:, 1]
        told = {"customdata": medians, "hovertemplate": f"{split}, median %{{customdata:.4f}}<extra></extra>"}
        traces += [
            dots(one, split, choice.score, edge),
            ticks(medians.clip(None, edge), rows, split, choice.score, "median", **(told if beyond else {})),
        ]
    columns = (data[name].tolist() for name in ("strategy", "non_linearities", "unfrozen", "rates", "others"))
    first = np.unique(data["place"].to_numpy(), return_index=True)[1].tolist()
    settings = list(zip(*columns, strict=True))
    names = [
        plot_text(", ".join(filter(None, [depth_text((strategy, n, u)), others])))
        + f"<br><span style='color:{MUTED}'>{rates}</span>"
        for strategy, n, u, rates, others in (settings[row] for row in first)
    ]
    ranged = {"range": [low - margin, edge + margin]} if beyond else {}
    across = axis(title={"text": METRIC_NAMES[choice.score]}, nticks=7, **ranged)
    far = far_words(beyond, len(data), float(finite.max()) if beyond else 0.0, int(np.isinf(values).sum()))
    notes = far_note(far, y=1, yanchor="bottom")
    spec = layout(64 + 32 * len(names), xaxis=across, yaxis=row_axis(names, 0.6), annotations=notes)
    if notes:
        spec["margin"] = {**spec["margin"], "t": 24}
    return {"data": traces, "layout": spec}


def _quartiles(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Lower quartile, median and upper quartile of what is finite, between the values next to them in proportion."""
    ordered = np.sort(values[np.isfinite(values)])
    if not len(ordered):
        return np.full(3, np.nan)
    quartiles: NDArray[np.float64] = np.interp(
        np.arange(1, 4) / 4 * (len(ordered) - 1), np.arange(len(ordered)), ordered
    )
    return quartiles


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
    how="A loss far above most stands at the edge of the figure; the table has its value.",
    reaches=tuple(REACH),
    page=OnPage(controls=(CONTROL,), keys=(TRAIN_AND_VALID_MARKS,), min_width=340),
)
