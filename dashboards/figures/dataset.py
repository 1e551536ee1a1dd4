"""The data behind a study: from listed files to images, groups and splits; never a file's or a group's name."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from dataclasses import dataclass
from textwrap import wrap
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from dashboards.figures.choice import Choice, Source
from dashboards.figures.markup import plot_text
from dashboards.figures.palette import INK, PAPER, SERIES, TRAIN, VALID, Spec, axis, layout, legend
from orchestrator.results.summary import training_samples
from orchestrator.store import layout as places
from orchestrator.store.storage import Storage

SPLITS = ("train", "valid", "test")
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
    manifest = read_table(source.storage, places.MANIFEST, ["label", "group"])
    split_of = group_splits(source.storage, choice.partition or source.summary.study.partition)
    if manifest is None or not split_of:
        return pd.DataFrame(columns=columns)
    frame = manifest.to_pandas()
    frame["split"] = frame["group"].map(split_of)
    counted = frame.groupby(["label", "split"])["group"].agg(["nunique", "size"])
    classes = [name for name in source.summary.study.classes if (frame["label"] == name).any()]
    rules = {(m.configuration.balance, m.configuration.views): m.configuration for m in source.summary.configurations}
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
                "hovertemplate": f"{label}: %{{x}} images of %{{customdata}} groups<extra></extra>",
            }
        )
    y = axis(tickvals=list(range(len(names))), ticktext=[_in_lines(name) for name in names], showgrid=False)
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


def _in_lines(name: str) -> str:
    """A class's name in up to three lines."""
    lines = wrap(name, _LETTERS, max_lines=3, placeholder=" …") or [name]
    return "<br>".join(plot_text(line) for line in lines)


@dataclass(frozen=True)
class Flow:
    """How many of each there are: refused files by reason, images kept, groups, and both by split."""

    refused: dict[str, int]
    images: int
    groups: int
    by_split: dict[str, tuple[int, int]]
    """split → (groups, images)"""


def flow(source: Source, partition: str) -> Flow | None:
    """Counts along the way from files to splits; None where the study holds no manifest."""
    manifest = read_table(source.storage, places.MANIFEST, ["group"])
    if manifest is None:
        return None
    groups = manifest["group"].to_pylist()
    split_of = group_splits(source.storage, partition or source.summary.study.partition)
    images = Counter(split_of.get(group, "") for group in groups)
    held = Counter(split_of.get(group, "") for group in set(groups))
    by_split = {split: (held[split], images[split]) for split in SPLITS if images[split]}
    return Flow(_refused(source.storage), len(groups), len(set(groups)), by_split)


def _refused(storage: Storage) -> dict[str, int]:
    """Refused files by kind of reason; reasons name files and numbers, so only their first words are kept."""
    try:
        rows = csv.DictReader(io.StringIO(storage.read(places.REFUSED).decode()))
        return dict(Counter(refused_kind(str(row.get("reason", ""))) for row in rows).most_common())
    except (FileNotFoundError, UnicodeDecodeError, csv.Error):
        return {}


def refused_kind(reason: str) -> str:
    """The first words of a reason, which name no file and no number."""
    return reason.split(":", 1)[0].split("(", 1)[0].strip()[:60] or "no reason given"


def group_splits(storage: Storage, partition: str) -> dict[str, str]:
    """Group → split of one partition, of the only one where none is named; empty where it cannot be read."""
    wanted = _there(storage, partition)
    read = read_table(storage, places.partition(wanted), ["group", "split"]) if wanted else None
    return {} if read is None else dict(zip(read["group"].to_pylist(), read["split"].to_pylist(), strict=True))


def _there(storage: Storage, partition: str) -> str:
    """The partition itself if it is there, else the first; "" where there is none."""
    names = [name.removesuffix(".parquet") for name in storage.list(places.PARTITIONS) if name.endswith(".parquet")]
    return partition if partition in names else names[0] if names else ""


def partition_details(storage: Storage, partition: str) -> dict[str, Any]:
    """What the partition's file says about how it was made: policy, seed, details; empty where it cannot be read."""
    wanted = _there(storage, partition)
    read = read_table(storage, places.partition(wanted), None) if wanted else None
    content = b"{}" if read is None else (read.schema.metadata or {}).get(b"partition", b"{}")
    try:
        found = json.loads(content)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def read_table(storage: Storage, path: str, columns: list[str] | None) -> pa.Table | None:
    """A Parquet file of the study; None where it is missing or damaged."""
    try:
        return pq.read_table(io.BytesIO(storage.read(path)), columns=columns)
    except (FileNotFoundError, pa.ArrowException, OSError):
        return None
