"""Backbones side by side: best loss and accuracy by family (as in figure 4.3)."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np
import pandas as pd

from dashboards.figures.backbone_names import backbone_names, family_of, several_backbones
from dashboards.figures.choice import Choice, Source, best_of_each
from dashboards.figures.declaration import Compared, Figure, OnPage, Per
from dashboards.figures.markup import (
    depth_text,
    deviations,
    plot_text,
    point_text,
)
from dashboards.figures.palette import (
    INK,
    RULE,
    STRATEGY_COLOURS,
    STRATEGY_MARKS,
    Spec,
    axis,
    layout,
    legend,
)
from search_spaces.presets import shown_strategy

_SHIFT = 0.2


def family_data(source: Source, choice: Choice) -> pd.DataFrame:
    """One row per backbone and strategy: its best-ranked configuration; by family and backbone, best families first.

    Columns: family, name (as shown), backbone, strategy, non_linearities, unfrozen, point, n; loss, accuracy
    (validation, at the selected epoch) and epoch, each with _mean and _std; parameters; hours (of all its repeats).
    """
    members = best_of_each(source.members(choice), "backbone", "strategy")
    names = backbone_names(members)
    rows = []
    for member in members:
        settings = member.configuration
        row: dict[str, object] = {
            "family": family_of(settings.network.backbone),
            "name": names[settings.network.backbone],
            "backbone": settings.network.backbone,
            "strategy": settings.strategy,
            "non_linearities": settings.head.non_linearities,
            "unfrozen": settings.adaptation.unfrozen,
            "point": point_text(member),
            "n": member.n,
        }
        for name, statistic in (
            ("loss", member.score("loss", "valid")),
            ("accuracy", member.score("accuracy", "valid")),
            ("epoch", member.selected_epochs),
        ):
            row[f"{name}_mean"] = statistic.mean if statistic else np.nan
            row[f"{name}_std"] = statistic.std if statistic else np.nan
        row |= {"parameters": member.total_parameters, "hours": member.seconds / 3600}
        rows.append(row)
    data = pd.DataFrame(rows)
    if data.empty:
        return data
    by_family = {name: place for place, name in enumerate(dict.fromkeys(data["family"]))}
    by_backbone = {name: place for place, name in enumerate(dict.fromkeys(data["backbone"]))}
    order = [(by_family[f], by_backbone[b]) for f, b in zip(data["family"], data["backbone"], strict=True)]
    return data.iloc[sorted(range(len(order)), key=lambda row: order[row])].reset_index(drop=True)


def family_figure(data: pd.DataFrame, choice: Choice) -> Spec:
    """Loss on the left, accuracy on the right; one row per backbone, a mark per strategy, ± standard deviation."""
    shown = list(dict.fromkeys(data["name"]))
    families = {row["name"]: row["family"] for row in data.to_dict("records")}
    strategies = [name for name in STRATEGY_MARKS if (data["strategy"] == name).any()]
    traces: list[Spec] = []
    for side, score in enumerate(("loss", "accuracy")):
        for place, strategy in enumerate(strategies):
            part = data[data["strategy"] == strategy]
            shift = _SHIFT * (place - (len(strategies) - 1) / 2)
            traces.append(
                {
                    "type": "scatter",
                    "mode": "markers",
                    "name": shown_strategy(strategy),
                    "legendgroup": strategy,
                    "showlegend": side == 0,
                    "x": part[f"{score}_mean"].to_numpy(),
                    "y": np.array([shown.index(name) for name in part["name"]]) + shift,
                    "error_x": {"type": "data", "array": part[f"{score}_std"].fillna(0).to_numpy(), "thickness": 1.3},
                    "marker": {
                        "size": 9,
                        "symbol": STRATEGY_MARKS[strategy],
                        "color": STRATEGY_COLOURS[strategy],
                    },
                    "text": [_point(row) for row in part.to_dict("records")],
                    "customdata": deviations(part[f"{score}_std"]),
                    "hovertemplate": f"%{{text}}<br>{score} %{{x:.4f}}%{{customdata}}<extra></extra>",
                    "xaxis": "x" if side == 0 else "x2",
                    "yaxis": "y",
                }
            )
    between = [place - 0.5 for place in range(1, len(shown)) if families[shown[place]] != families[shown[place - 1]]]
    shapes = [
        {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": y, "y1": y, "line": {"color": RULE, "width": 1.4}}
        for y in between
    ]
    names = [plot_text(name) for name in shown]
    y = axis(tickvals=list(range(len(names))), ticktext=names, range=[len(names) - 0.4, -0.6], showgrid=False)
    y["color"] = INK
    return {
        "data": traces,
        "layout": layout(
            96 + 44 * len(names),
            xaxis=axis(domain=[0, 0.485], title={"text": "valid loss"}, nticks=5),
            xaxis2=axis(domain=[0.515, 1], title={"text": "valid accuracy"}, nticks=5, anchor="y"),
            yaxis=y,
            shapes=shapes,
            showlegend=True,
            legend=legend(),
            margin={"l": 56, "r": 14, "t": 34, "b": 44},
        ),
    }


def _point(row: dict[Hashable, Any]) -> str:
    depth = depth_text((row["strategy"], row["non_linearities"], row["unfrozen"]))
    where = f"{row['name']}, {depth}"
    return f"{plot_text(where)}<br>{plot_text(row['point'])}, n = {row['n']}"


FIGURE = Figure(
    name="families",
    section="backbones",
    title="Best loss and accuracy by family",
    reading="Each mark is the best-ranked configuration of a backbone and strategy: its validation mean ± standard "
    "deviation (n − 1) over n repeats at their selected epochs. Lines separate families, the best family first.",
    data=family_data,
    draw=family_figure,
    label=lambda data, choice: "Best validation loss and accuracy of every backbone, by family and strategy.",
    per=Per.PARTITION,
    by_class=True,
    page=OnPage(min_width=560, is_shown=several_backbones),
    compared=Compared(
        "Best loss and accuracy",
        "Each mark is the best-ranked configuration of a study’s backbone and strategy: its validation mean ± standard "
        "deviation (n − 1) over n repeats at their selected epochs. Lines separate studies.",
    ),
)
