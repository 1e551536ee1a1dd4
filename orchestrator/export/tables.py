"""A study's tables as CSV and Parquet, without the names of files, groups and machines unless they are asked for."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from orchestrator.export.pseudonyms import pseudonyms, without_names
from orchestrator.results.summary import Summary
from orchestrator.results.summary_table import build_table
from orchestrator.store import layout
from orchestrator.store.damage import passed_over
from orchestrator.store.storage import LocalStorage, Storage


def study_tables(storage: Storage, summary: Summary, with_names: bool) -> dict[str, pd.DataFrame]:
    """configurations, repeats and epochs as `orch table` gives them; images: file, label, group, split, size."""
    tables = {
        "configurations": build_table(summary, "config"),
        "repeats": build_table(summary, "repeat"),
        "epochs": build_table(summary, "epoch"),
    }
    images = images_table(storage, summary, with_names)
    if images is not None:
        tables["images"] = images
    if not with_names and "host" in tables["repeats"].columns:
        hosts = tables["repeats"]["host"]
        tables["repeats"] = tables["repeats"].assign(
            host=hosts.map(pseudonyms(hosts.dropna(), "host", summary.study.seed))
        )
    return tables


def images_table(storage: Storage, summary: Summary, with_names: bool) -> pd.DataFrame | None:
    """A row per image of the study, with its split on the study's partition; None where the manifest is not whole."""
    from trainables.data.manifest import read_manifest
    from trainables.data.partition import Partition, splits

    manifest = partition = None
    with passed_over(storage, layout.MANIFEST):
        manifest = read_manifest(storage.read(layout.MANIFEST))
    path = layout.partition(summary.study.partition)
    with passed_over(storage, path):
        partition = Partition.from_bytes(storage.read(path), path)
    if manifest is None or partition is None:
        return None
    manifest = manifest.assign(split=splits(manifest, partition))
    return manifest if with_names else without_names(manifest, summary.study.seed)


def write_tables(folder: Path, tables: Mapping[str, pd.DataFrame]) -> list[Path]:
    """NAME.csv and NAME.parquet of each, atomically."""
    storage, written = LocalStorage(folder), []
    for name, table in tables.items():
        buffer = io.BytesIO()
        table.to_parquet(buffer, index=False)
        for suffix, content in ((".csv", table.to_csv(index=False).encode()), (".parquet", buffer.getvalue())):
            storage.replace(f"{name}{suffix}", content)
            written.append(folder / f"{name}{suffix}")
    return written
