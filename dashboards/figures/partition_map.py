"""Maps of the distance D over μ and ε, one per class, with the partition that was chosen (figure 2.5)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from dashboards.figures.choice import Choice, Source
from dashboards.figures.dataset import partition_details
from dashboards.figures.declaration import Figure, OnPage, Per
from dashboards.figures.limits import ends
from dashboards.figures.markup import plot_text
from dashboards.figures.palette import HEAT, INK, MUTED, PAPER, Spec, axis, layout
from orchestrator.results.partition_maps import COLUMNS, FILLED, candidate_data, why_no_map
from orchestrator.results.stored_data import read_table
from orchestrator.store import layout as places

_OF_IMAGES = {"label": "text", "group": "text", "width": "number", "height": "number"}

ACROSS = 2
"""Maps side by side."""
COLUMNS_DRAWN = 100
"""Steps of ε that are drawn at most; the table has every breakpoint."""
_PANEL, _GAP = 190, 74


def map_data(source: Source, choice: Choice) -> pd.DataFrame:
    """See `orchestrator.results.partition_maps.candidate_data`; no rows where the partition was not made by filling."""
    partition = choice.partition or source.summary.study.partition
    made = partition_details(source.storage, partition)
    manifest = read_table(source.storage, places.MANIFEST, _OF_IMAGES)
    if manifest is None or not made:
        return pd.DataFrame(columns=COLUMNS)
    candidates = candidate_data(manifest.to_pandas(), made)
    return candidates if candidates["is_chosen"].any() else candidates.iloc[:0]


def map_figure(data: pd.DataFrame, choice: Choice) -> Spec:
    """Rows of cells are stretches of μ, drawn where they lie; a ring on the chosen point."""
    names = list(dict.fromkeys(data["class"]))
    lines = -(-len(names) // ACROSS)
    height = lines * (_PANEL + _GAP) + 26
    low, high = ends(float(data["distance"].min()), float(data["distance"].max()))
    spec = layout(height, margin={"l": 54, "r": 10, "t": 26, "b": 44})
    traces: list[Spec] = []
    notes: list[Spec] = []
    across = min(ACROSS, len(names))
    for number, name in enumerate(names):
        part = data[data["class"] == name]
        row, column = divmod(number, ACROSS)
        suffix = "" if number == 0 else str(number + 1)
        x = [(column + (0.06 if column else 0)) / across, (column + (0.94 if column < across - 1 else 1)) / across]
        room = _GAP / (lines * (_PANEL + _GAP))
        y = [1 - (row + 1) / lines + room * (row < lines - 1), 1 - row / lines]
        most = float(part["epsilon_to"].max())
        spec[f"xaxis{suffix}"] = axis(
            domain=x, anchor=f"y{suffix}", range=[-0.015 * most, most], showgrid=False, nticks=6, title=_title("ε")
        )
        spec[f"yaxis{suffix}"] = axis(
            domain=y, anchor=f"x{suffix}", range=[0, 1], showgrid=False, nticks=6, title=_title("μ")
        )
        axes = {"xaxis": f"x{suffix}", "yaxis": f"y{suffix}"}
        heat = {
            "type": "heatmap",
            "zmin": low,
            "zmax": high,
            "showscale": number == 0,
            "colorscale": [[place / (len(HEAT) - 1), colour] for place, colour in enumerate(HEAT[::-1])],
            "colorbar": {
                "title": {"text": "D", "side": "top"},
                "thickness": 9,
                "outlinewidth": 0,
                "nticks": 5,
                "tickfont": {"size": 10, "color": MUTED},
            },
            "hovertemplate": "%{text}<extra></extra>",
        }
        traces.append({**heat, **_cells(part, most), **axes})
        chosen = part[part["is_chosen"].astype(bool)]
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": "chosen",
                "cliponaxis": False,
                "x": chosen["epsilon"].tolist(),
                "y": chosen["mu"].tolist(),
                "marker": {"size": 11, "color": PAPER, "line": {"color": INK, "width": 2.2}},
                "text": [f"<b>chosen</b>: {_words(one)}" for one in chosen.to_dict("records")],
                "hovertemplate": "%{text}<extra></extra>",
                **axes,
            }
        )
        best = f", distance {chosen['distance'].iloc[0]:.3f}" if len(chosen) else ""
        notes.append(
            {
                "text": f"{plot_text(name)}{best}",
                "x": x[0],
                "y": y[1],
                "xref": "paper",
                "yref": "paper",
                "xanchor": "left",
                "yanchor": "bottom",
                "showarrow": False,
                "font": {"size": 12, "color": INK},
            }
        )
    return {"data": traces, "layout": {**spec, "annotations": notes}}


def map_label(data: pd.DataFrame, choice: Choice) -> str:
    """What a screen reader says."""
    chosen = data[data["is_chosen"].astype(bool)].to_dict("records")
    points = "; ".join(f"{one['class']}: {_words(one, ', ')}" for one in chosen)
    return f"Maps of the distance D over μ and ε, one per class. Chosen: {points}."


def _cells(part: pd.DataFrame, most: float) -> Spec:
    """A grid whose lines are breakpoints, so that every cell is exact; ε in steps where there are too many of them."""
    edges = np.unique(part["epsilon_from"].to_numpy(dtype=float).round(12))
    if len(edges) > COLUMNS_DRAWN:
        at = part.loc[part["is_chosen"].astype(bool), "epsilon"].to_numpy(dtype=float).round(12)
        edges = np.unique(np.r_[np.linspace(0, most, COLUMNS_DRAWN, endpoint=False).round(12), at])
    z: list[list[float]] = []
    words: list[list[str]] = []
    tops = [0.0]
    for mu, row in part.groupby("mu_to", sort=True):
        rows_at = np.searchsorted(row["epsilon_from"].to_numpy(dtype=float), edges + 1e-9, side="right") - 1
        told = [_words(one) for one in row.to_dict("records")]
        z.append(row["distance"].to_numpy(dtype=float)[rows_at].tolist())
        words.append([told[place] for place in rows_at])
        tops.append(float(str(mu)))
    return {"x": [*edges.tolist(), most], "y": tops, "z": z, "text": words}


def _words(one: Mapping[Any, Any], apart: str = "<br>") -> str:
    """A candidate in words: D, shares, numbers of groups and where it comes about."""
    shares = " / ".join(f"{one[f'{split}_share']:.1%}" for split in ("train", "valid", "test"))
    groups = " / ".join(str(one[f"{split}_groups"]) for split in ("train", "valid", "test"))
    mu, epsilon = (float(one[f"{name}_{end}"]) for name, end in (("mu", "to"), ("epsilon", "from")))
    return (
        f"D = {one['distance']:.3f}{apart}{shares} of the pixels{apart}{groups} groups{apart}"
        f"μ up to {mu:.3g}, ε from {epsilon:.3g}"
    )


def _title(name: str) -> Spec:
    return {"text": name, "font": {"size": 11}, "standoff": 4}


def _absent(source: Source, choice: Choice) -> str:
    """Why there is no map, and what would tell more."""
    partition = choice.partition or source.summary.study.partition
    made = partition_details(source.storage, partition)
    if made.get("policy") in FILLED:
        return why_no_map(made)
    more = f"What it would have found: orch data candidates {source.summary.study.name} --partition {partition}"
    return f"{why_no_map(made)} {more}"


FIGURE = Figure(
    name="partition-map",
    section="partition",
    title="Partitions over μ and ε",
    reading="Each map is one class: D, the distance from the targets that iterative filling would reach with each μ "
    "and ε; a stronger colour is nearer. The ring marks the partition that was taken.",
    how="μ is how full train is filled first, ε by how much valid and test may exceed their share; IFP has ε = 0. The "
    "partition taken has the least D with a group in each split, and among equals the smallest ε.",
    data=map_data,
    draw=map_figure,
    label=map_label,
    per=Per.PARTITION,
    page=OnPage(min_width=520, absent=_absent),
)
