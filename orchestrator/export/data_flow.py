"""From the files that were found to the images of each split: the flow that a reviewer asks for."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import pandas as pd

from orchestrator.results.cut_off import CutOff, cut_off
from orchestrator.results.near_duplicates import KINDS, counts, read_pairs, with_kinds
from orchestrator.results.notes import read_notes
from orchestrator.results.stored_data import read_refused
from orchestrator.store import layout
from orchestrator.store.damage import passed_over
from orchestrator.store.storage import Storage
from trainables.data.manifest import read_manifest
from trainables.data.partition import SPLITS, Partition, describe, splits


@dataclass(frozen=True)
class DataFlow:
    """rows: (class, split, groups, images). totals: per split (groups, images). refused: reason's kind → files. alike:
    near-duplicates by kind, (kind, pairs, of them under two labels); None where none were sought. cut_off: what a
    centre crop leaves out; None where all images are square. notes: what was told of the data, see `results.notes`."""

    files: int
    refused: tuple[tuple[str, int], ...]
    images: int
    groups: int
    policy: str
    seed: int
    rows: tuple[tuple[str, str, int, int], ...]
    totals: tuple[tuple[str, int, int], ...]
    alike: tuple[tuple[str, int, int], ...] | None
    cut_off: CutOff | None
    notes: tuple[str, ...] = ()

    @property
    def alike_across_splits(self) -> int:
        """Pairs of images of which one may have been trained on and the other scored."""
        return sum(pairs for kind, pairs, _ in self.alike or () if kind == KINDS[0])


def data_flow(storage: Storage, partition_id: str) -> DataFlow | None:
    """Of a study on one partition; None where its manifest or partition cannot be read."""
    manifest = partition = None
    with passed_over(storage, layout.MANIFEST):
        manifest = read_manifest(storage.read(layout.MANIFEST))
    path = layout.partition(partition_id)
    with passed_over(storage, path):
        partition = Partition.from_bytes(storage.read(path), path)
    if manifest is None or partition is None:
        return None
    refused = _refused(storage)
    split = splits(manifest, partition)
    rows_by_class = describe(manifest, partition)
    columns = (rows_by_class[name].tolist() for name in ("label", "split", "groups", "images"))
    rows = tuple(zip(*columns, strict=True))
    totals = []
    for name in SPLITS:
        inside = manifest[(split == name).to_numpy()]
        totals.append((name, int(inside["group"].nunique()), len(inside)))
    return DataFlow(
        files=len(manifest) + sum(count for _, count in refused),
        refused=refused,
        images=len(manifest),
        groups=int(manifest["group"].nunique()),
        policy=partition.policy,
        seed=partition.seed,
        rows=rows,
        totals=tuple(totals),
        alike=_alike(storage, manifest, partition),
        cut_off=cut_off(manifest["width"], manifest["height"]),
        notes=read_notes(storage),
    )


def _alike(storage: Storage, manifest: pd.DataFrame, partition: Partition) -> tuple[tuple[str, int, int], ...] | None:
    pairs = read_pairs(storage)
    if pairs is None:
        return None
    by_kind = counts(with_kinds(pairs, manifest, partition.groups))
    return tuple((str(kind), int(n), int(differs)) for kind, n, differs in by_kind.itertuples(index=False))


def _refused(storage: Storage) -> tuple[tuple[str, int], ...]:
    """Kinds of reasons, the most frequent first; the part behind the colon may name a file."""
    counts = Counter((row["reason"] or "no reason given").partition(":")[0] for row in read_refused(storage))
    return tuple(counts.most_common())
