"""The mean validation losses of all backbones side by side."""

from __future__ import annotations

import numpy as np
import pandas as pd

from dashboards.figures.backbone_names import backbone_names, several_backbones
from dashboards.figures.choice import Choice, Source, best_of_each
from dashboards.figures.declaration import Compared, Figure, OnPage, Per
from dashboards.figures.markup import deviations, plot_text, whole_name
from dashboards.figures.palette import Spec, axis, layout, legend, series_style
from orchestrator.results.configuration_summary import ConfigurationSummary


def losses_data(source: Source, choice: Choice) -> pd.DataFrame:
    """Mean validation loss by epoch of every backbone's best-ranked configuration.

    Columns: name (of the backbone, as shown), configuration, epoch, train, valid (means), valid_std, n.
    """
    blocks = []
    members = best_of_each(source.members(choice), "backbone")
    names = backbone_names(members)
    for member in members:
        train, valid = member.curve("loss", "train"), member.curve("loss", "valid")
        if train is None or valid is None:
            continue
        blocks.append(
            pd.DataFrame(
                {
                    "name": names[member.configuration.network.backbone],
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


def _words(member: ConfigurationSummary) -> str:
    return f"{whole_name(member)}, n = {member.n}"


def _how(source: Source, choice: Choice) -> str:
    return "Point at a line for the standard deviation and n."


FIGURE = Figure(
    name="losses",
    section="backbones",
    title="Validation losses of all backbones",
    reading="Each line is the mean validation loss of a backbone’s best-ranked configuration over its n finished "
    "repeats.",
    data=losses_data,
    draw=losses_figure,
    label=lambda data, choice: "Mean validation loss by epoch of the best configuration of every backbone.",
    per=Per.PARTITION,
    page=OnPage(min_width=560, is_shown=several_backbones, how=_how),
    compared=Compared(
        "Validation losses",
        "Each line is the mean validation loss of the best-ranked configuration of a study’s backbone over its n "
        "finished repeats. Point at a line for the standard deviation and n.",
    ),
)
