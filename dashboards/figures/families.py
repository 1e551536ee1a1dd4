"""Backbones side by side: best loss and accuracy by family (as figure 4.3), the losses of all, and a table of all."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from dashboards.figures.choice import Choice, Source, best_of_each
from dashboards.figures.markup import (
    backbone_text,
    depth_text,
    deviations,
    lr_text,
    number,
    plot_text,
    plus_minus,
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
    series_style,
)
from orchestrator.results.configuration_summary import ConfigurationSummary

_FAMILY = re.compile(r"[A-Za-z]+?(?=v?\d|[_.\-]|$)")
_SHIFT = 0.2


def family_of(backbone: str) -> str:
    """The letters that a backbone's name begins with: "resnet" of `timm:resnet18.tv_in1k`; for grouping rows only."""
    name = backbone_text(backbone)
    match = _FAMILY.match(name)
    return match[0].lower() if match else name


def family_data(source: Source, choice: Choice) -> pd.DataFrame:
    """One row per backbone and strategy: its best-ranked configuration; by family and backbone, best families first.

    Columns: family, name (as shown), backbone, strategy, non_linearities, unfrozen, lr, batch_size, n; loss, accuracy
    (validation, at the selected epoch) and epoch, each with _mean and _std; parameters; hours (of all its repeats).
    """
    members = best_of_each(source.members(choice), "backbone", "strategy")
    names = _names(members)
    rows = []
    for member in members:
        settings = member.configuration
        row: dict[str, object] = {
            "family": family_of(settings.backbone),
            "name": names[settings.backbone],
            "backbone": settings.backbone,
            "strategy": settings.strategy,
            "non_linearities": settings.non_linearities,
            "unfrozen": settings.unfrozen,
            "lr": settings.lr,
            "batch_size": settings.batch_size,
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
                    "name": strategy,
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
    return f"{plot_text(where)}<br>lr {lr_text(row['lr'])}, batch {row['batch_size']}, n = {row['n']}"


def backbone_table_data(source: Source, choice: Choice) -> pd.DataFrame:
    """One row per backbone as shown: its best configuration, parameters, best epoch, hours; text columns."""
    members = source.members(choice)
    seconds: dict[str, float] = {}
    repeats: dict[str, int] = {}
    for member in members:
        name = member.configuration.backbone
        seconds[name] = seconds.get(name, 0.0) + member.seconds
        repeats[name] = repeats.get(name, 0) + member.n
    rows = []
    for member in best_of_each(members, "backbone"):
        name = member.configuration.backbone
        rows.append(
            {
                "Backbone": backbone_text(name),
                "Family": family_of(name),
                "Parameters": _millions(member.total_parameters),
                "Trained of them": _millions(member.trainable_parameters),
                "Best configuration": f"{depth_text(member.depth)}, {point_text(member.configuration)}",
                "Valid loss": plus_minus(member.score("loss", "valid")),
                "Valid accuracy": plus_minus(member.score("accuracy", "valid")),
                "Best epoch": plus_minus(member.selected_epochs, 1),
                "n": str(member.n),
                "Hours": number(seconds[name] / 3600, 2),
                "Repeats": str(repeats[name]),
            }
        )
    return pd.DataFrame(rows)


def losses_data(source: Source, choice: Choice) -> pd.DataFrame:
    """Mean validation loss by epoch of every backbone's best-ranked configuration.

    Columns: name (of the backbone, as shown), configuration, epoch, train, valid (means), valid_std, n.
    """
    blocks = []
    members = best_of_each(source.members(choice), "backbone")
    names = _names(members)
    for member in members:
        train, valid = member.curve("loss", "train"), member.curve("loss", "valid")
        if train is None or valid is None:
            continue
        blocks.append(
            pd.DataFrame(
                {
                    "name": names[member.configuration.backbone],
                    "configuration": _words(member),
                    "epoch": np.arange(len(valid.mean)),
                    "train": train.mean,
                    "valid": valid.mean,
                    "valid_std": valid.std,
                    "n": valid.n,
                }
            )
        )
    columns = ["name", "configuration", "epoch", "train", "valid", "valid_std", "n"]
    return pd.concat(blocks, ignore_index=True) if blocks else pd.DataFrame(columns=columns)


def losses_figure(data: pd.DataFrame, choice: Choice) -> Spec:
    """A line per backbone, told apart by colour and dash."""
    traces: list[Spec] = []
    for place, (name, part) in enumerate(data.groupby("name", sort=False)):
        where = plot_text(f"{name}, {part['configuration'].iloc[0]}")
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": plot_text(name),
                "x": part["epoch"].to_numpy(),
                "y": part["valid"].to_numpy(),
                "line": {"width": 1.9, **series_style(place)},
                "customdata": deviations(part["valid_std"]),
                "hovertemplate": f"{where}<br>valid loss %{{y:.4f}}%{{customdata}}, epoch %{{x}}<extra></extra>",
            }
        )
    rows = -(-len(traces) // 5)
    return {
        "data": traces,
        "layout": layout(
            380 + 20 * rows,
            xaxis=axis(title={"text": "epoch"}, nticks=8),
            yaxis=axis(title={"text": "valid loss"}, nticks=7),
            showlegend=True,
            legend=legend(y=1.02),
            dragmode="zoom",
            margin={"l": 56, "r": 14, "t": 20 + 20 * rows, "b": 44},
        ),
    }


def _names(members: Sequence[ConfigurationSummary]) -> dict[str, str]:
    """What backbones are called: whole names where two would look the same, as of two libraries."""
    every = {member.configuration.backbone for member in members}
    short = Counter(backbone_text(name) for name in every)
    return {name: backbone_text(name) if short[backbone_text(name)] == 1 else name for name in every}


def _words(member: ConfigurationSummary) -> str:
    return f"{depth_text(member.depth)}, {point_text(member.configuration)}, n = {member.n}"


def _millions(count: int | None) -> str:
    if count is None:
        return "–"
    return f"{count / 1e6:.1f} M" if count >= 1e5 else f"{count:,}"
