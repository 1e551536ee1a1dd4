"""The data behind a study: from listed files to images, groups and splits; never a file's or a group's name."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from dashboards.figures.choice import Source
from orchestrator.results.cut_off import CutOff, any_crops, cut_off
from orchestrator.results.stored_data import read_partition, read_refused, read_table
from orchestrator.store import layout as places
from orchestrator.store.storage import Storage

SPLITS = ("train", "valid", "test")


@dataclass(frozen=True)
class Flow:
    """How many of each there are: refused files by reason, images kept, groups, and both by split."""

    refused: dict[str, int]
    images: int
    groups: int
    by_split: dict[str, tuple[int, int]]
    """split → (groups, images)"""
    cut_off: CutOff | None = None
    """What is left out of images that are not square; None where there are none, or where no configuration crops."""


def flow(source: Source, partition: str) -> Flow | None:
    """Counts along the way from files to splits; None where the study holds no manifest."""
    manifest = read_table(source.storage, places.MANIFEST, {"group": "text", "width": "number", "height": "number"})
    if manifest is None:
        return None
    groups = manifest["group"].to_pylist()
    split_of = group_splits(source.storage, partition or source.summary.study.partition)
    images = Counter(split_of.get(group, "") for group in groups)
    held = Counter(split_of.get(group, "") for group in set(groups))
    by_split = {split: (held[split], images[split]) for split in SPLITS if images[split]}
    lost = cut_off(manifest["width"].to_pylist(), manifest["height"].to_pylist())
    lost = lost if any_crops(entry.configuration for entry in source.summary.configurations) else None
    return Flow(_refused(source.storage), len(groups), len(set(groups)), by_split, lost)


def _refused(storage: Storage) -> dict[str, int]:
    """Refused files by kind of reason; reasons name files and numbers, so only their first words are kept."""
    return dict(Counter(refused_kind(row["reason"]) for row in read_refused(storage)).most_common())


def refused_kind(reason: str) -> str:
    """The first words of a reason, which name no file and no number."""
    return reason.split(":", 1)[0].split("(", 1)[0].strip()[:60] or "no reason given"


def group_splits(storage: Storage, partition: str) -> dict[str, str]:
    """Group → split of one partition, of the only one where none is named; empty where it cannot be read."""
    wanted = _there(storage, partition)
    read = read_partition(storage, wanted) if wanted else None
    return {} if read is None else read.groups


def _there(storage: Storage, partition: str) -> str:
    """The partition itself if it is there, else the first; "" where there is none."""
    names = [name.removesuffix(".parquet") for name in storage.list(places.PARTITIONS) if name.endswith(".parquet")]
    return partition if partition in names else names[0] if names else ""


def partition_details(storage: Storage, partition: str) -> dict[str, Any]:
    """What the partition's file says about how it was made: policy, seed, details; empty where it cannot be read."""
    wanted = _there(storage, partition)
    read = read_partition(storage, wanted) if wanted else None
    return {} if read is None else {"policy": read.policy, "seed": read.seed, "details": read.details}
