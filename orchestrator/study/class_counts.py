"""Whether the training images of a study can be as many of each class as a search asks for."""

from __future__ import annotations

from collections.abc import Iterable

from orchestrator.store import layout
from orchestrator.store.errors import Faults
from orchestrator.study.studies import Study
from search_spaces.configuration import Configuration
from trainables.data.balance import check_count
from trainables.data.manifest import read_manifest
from trainables.data.partition import Partition, splits


def check_counts(study: Study, configurations: Iterable[Configuration]) -> None:
    """Raise InputError where `balance.count` cannot be reached on one of the partitions that a search is for."""
    counts = sorted({c.balance.count for c in configurations if c.balance.name == "count"})
    if not counts:
        return
    manifest, faults = read_manifest(study.storage.read(layout.MANIFEST)), Faults(f"study {study.name}")
    for name in (study.record.partition, *study.partitions):
        content = study.partitions.get(name) or study.storage.read(layout.partition(name))
        split = splits(manifest, Partition.from_bytes(content, layout.partition(name)))
        for count in counts:
            with faults.collecting():
                check_count(manifest.loc[split == "train", "label"], count)
    faults.raise_if_any()
