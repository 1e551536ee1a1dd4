"""Images by class and split of a partition, and what is trained on after balancing."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from dashboards.figures.choice import Choice, Source
from dashboards.figures.dataset import SPLITS, group_splits
from dashboards.figures.declaration import Figure, OnPage, Per
from dashboards.figures.markup import in_lines, table
from dashboards.figures.palette import INK, PAPER, SERIES, TRAIN, VALID, Spec, axis, layout, legend
from orchestrator.results.stored_data import read_table
from orchestrator.results.summary import training_samples
from orchestrator.store import layout as places

_LOOKS = {"train": (TRAIN, ""), "train, balanced": (SERIES[2], "/"), "valid": (VALID, "\\"), "test": (SERIES[4], "x")}
"""Colour and pattern of a bar; each split has the colour that it has in every figure."""
_LETTERS = 22
"""Of a class's name on one line beside the bars, which a telephone leaves room for."""


def class_data(source: Source, choice: Choice) -> pd.DataFrame:
    """Images and groups by class and split of one partition; empty where the study holds no manifest.

    Columns: class, split, groups, images, and trained: images times views of the train split after balancing (NaN in
    the other splits, and where configurations of the study balance differently).
    """
    columns = ["class", "split", "groups", "images", "trained"]
    manifest = read_table(source.storage, places.MANIFEST, {"label": "text", "group": "text"})
    split_of = group_splits(source.storage, choice.partition or source.summary.study.partition)
    if manifest is None or not split_of:
        return pd.DataFrame(columns=columns)
    frame = manifest.to_pandas()
    frame["split"] = frame["group"].map(split_of)
    counted = frame.groupby(["label", "split"])["group"].agg(["nunique", "size"])
    classes = [name for name in source.summary.study.classes if (frame["label"] == name).any()]
    rules = {
        (m.configuration.balance.name, m.configuration.balance.count, m.configuration.image.views): m.configuration
        for m in source.summary.configurations
    }
    rows: list[tuple[Any, ...]] = []
    for split in SPLITS:
        images = {name: int(counted["size"].get((name, split), 0)) for name in classes}
        trained: dict[str, Any] = dict.fromkeys(images, np.nan)
        if split == "train" and len(rules) == 1:
            trained |= training_samples(images, next(iter(rules.values())))
        for name in classes:
            rows.append((name, split, int(counted["nunique"].get((name, split), 0)), images[name], trained[name]))
    return pd.DataFrame(rows, columns=columns)


def class_figure(data: pd.DataFrame, choice: Choice) -> Spec:
    """A bar per class and split: images, and for train what is trained on after balancing."""
    names = list(dict.fromkeys(data["class"]))
    bars = [(split, "images", split) for split in SPLITS if (data["split"] == split).any()]
    if (data["trained"].notna() & (data["trained"] != data["images"])).any():
        bars.insert(1, ("train", "trained", "train, balanced"))
    traces: list[Spec] = []
    of = "" if _are_single(data) else " of %{customdata} groups"
    for split, column, label in bars:
        part = data[data["split"] == split].set_index("class").reindex(names)
        colour, shape = _LOOKS[label]
        marker = {"color": colour, "pattern": {"shape": shape, "fillmode": "overlay", "fgcolor": PAPER, "size": 6}}
        traces.append(
            {
                "type": "bar",
                "orientation": "h",
                "name": label,
                "x": part[column].fillna(0).to_numpy(dtype=float),
                "y": list(range(len(names))),
                "marker": marker,
                "text": [f"{value:,.0f}" for value in part[column].fillna(0)],
                "textposition": "outside",
                "cliponaxis": False,
                "customdata": part["groups"].to_numpy(),
                "hovertemplate": f"{label}: %{{x}} images{of}<extra></extra>",
            }
        )
    y = axis(tickvals=list(range(len(names))), ticktext=[in_lines(name, _LETTERS) for name in names], showgrid=False)
    y |= {"color": INK, "autorange": "reversed"}
    spec = layout(
        90 + len(names) * (14 + 18 * len(bars)),
        xaxis=axis(title={"text": "images"}, rangemode="tozero", tickangle=0),
        yaxis=y,
        barmode="group",
        bargap=0.24,
        showlegend=True,
        legend=legend(traceorder="normal"),
    )
    return {"data": traces, "layout": {**spec, "margin": {"l": 56, "r": 58, "t": 34, "b": 44}}}


def _table(data: pd.DataFrame, choice: Choice) -> str:
    """The numbers behind the bars, as HTML."""
    splits = list(dict.fromkeys(data["split"]))
    shown = ("images",) if _are_single(data) else ("images", "groups")
    rows: list[list[object]] = []
    for name, part in data.groupby("class", sort=False):
        by_split = part.set_index("split")
        row: list[object] = [name]
        for split in splits:
            row += [f"{by_split.loc[split, what]:,}" for what in shown]
        trained = float(by_split["trained"].get("train", math.nan))
        rows.append([*row, f"{trained:,.0f}" if math.isfinite(trained) else "–"])
    columns = ["Class", *(f"{split} {what}" for split in splits for what in shown)]
    return table([*columns, "trained on"], rows, f"{' and '.join(shown).capitalize()} by class and split", "cards")


def _are_single(data: pd.DataFrame) -> bool:
    """Whether every group is one image."""
    return bool((data["groups"] == data["images"]).all())


FIGURE = Figure(
    name="classes",
    section="data",
    title="Images by class and split",
    reading="Images of each class in each split of this partition; for train also the number trained on after "
    "balancing, views included. Groups are never divided between splits.",
    data=class_data,
    draw=class_figure,
    label=lambda data, choice: "Images by class and split.",
    per=Per.PARTITION,
    page=OnPage(below=_table),
)
