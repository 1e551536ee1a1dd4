"""The manifest: a row for each image that is used, and what is derived from it."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from orchestrator.store.errors import DamagedRecordError
from orchestrator.store.layout import MANIFEST
from orchestrator.store.parquet import read_parquet
from trainables.data.reading import Reading

COLUMNS = ("file", "label", "group", "split", "width", "height", "bytes", "content", "reading")
"""Of every manifest, in this order; then fold where the data has folds, and columns of the user's own, named user_…
reading: what of the study's `Reading` came to bear on the image, as text; "" for one picture of 8 bits."""
_NUMBERS = ("width", "height", "bytes")


def made_manifest(rows: Sequence[dict[str, object]]) -> pd.DataFrame:
    """Sort rows (mappings with all of COLUMNS, perhaps fold and user_… ones) by file; texts are str, numbers int64."""
    extra = sorted({name for row in rows for name in row} - set(COLUMNS))
    frame = pd.DataFrame(list(rows), columns=[*COLUMNS, *extra])
    kinds = {name: "int64" if name in _NUMBERS else "str" for name in frame.columns}
    return frame.astype(kinds).sort_values("file", ignore_index=True)


def manifest_bytes(manifest: pd.DataFrame) -> bytes:
    """The manifest as Parquet, with a checksum in the schema's metadata: `dataset/manifest.parquet`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_pandas(manifest, preserve_index=False)
    metadata = {**(table.schema.metadata or {}), b"sha256": _checksum(manifest).encode()}
    target = io.BytesIO()
    pq.write_table(table.replace_schema_metadata(metadata), target, compression="zstd")
    return target.getvalue()


def read_manifest(content: bytes) -> pd.DataFrame:
    """Read what `manifest_bytes` wrote; raises DamagedRecordError when anything in it is not as it was written.

    A manifest without a checksum, of an earlier version, is taken as it is.
    """
    columns = {name: "number" if name in _NUMBERS else "text" for name in COLUMNS}
    table = read_parquet(content, MANIFEST, columns)
    manifest: pd.DataFrame = table.to_pandas()
    stated = (table.schema.metadata or {}).get(b"sha256", b"")
    if stated and stated != _checksum(manifest).encode():
        raise DamagedRecordError(f"{MANIFEST} fails its checksum")
    return pd.DataFrame(manifest)


def _checksum(manifest: pd.DataFrame) -> str:
    """64 hex digits over the names and all values, column by column."""
    digest = hashlib.sha256()
    for name in manifest.columns:
        digest.update(json.dumps([name, [str(value) for value in manifest[name]]], ensure_ascii=True).encode())
    return digest.hexdigest()


def reading_of(manifest: pd.DataFrame) -> Reading:
    """The rule by which images are read: all that came to bear on any of them."""
    readings = [Reading.parse(str(text)) for text in sorted(set(manifest["reading"]))]
    of = {one.of for one in readings if one.channels}
    return Reading(
        next((one.intensity for one in readings if one.intensity is not None), None),
        next((one.page for one in readings if one.page), ""),
        next((one.channels for one in readings if one.channels), ()),
        of.pop() if len(of) == 1 else 0,
    )


def refused_csv(refused: pd.DataFrame) -> bytes:
    """The refused files as CSV: `dataset/refused.csv`."""
    return refused.to_csv(index=False, lineterminator="\n").encode()


def fingerprint(manifest: pd.DataFrame) -> str:
    """SHA-256 (64 hex digits) over the sorted pairs (content, label): independent of paths, groups and order.

    Used for the rows of train and valid together, and for those of test by themselves.
    """
    pairs = sorted(zip(manifest["content"], manifest["label"], strict=True))
    return hashlib.sha256(json.dumps(pairs, ensure_ascii=True).encode()).hexdigest()


def verify_unchanged(root: Path, manifest: pd.DataFrame) -> list[str]:
    """Faults of a study's data on a later day, by existence and size alone: no pixel is read. [] means unchanged."""
    if not root.is_dir():
        return [f"data root {root}: expected a folder, found none"]
    faults = []
    for file, size in zip(manifest["file"], manifest["bytes"], strict=True):
        try:
            actual = (root / file).stat().st_size
        except OSError as error:
            faults.append(f"{file}: {'missing' if isinstance(error, FileNotFoundError) else error.strerror}")
            continue
        if actual != size:
            faults.append(f"{file}: {actual} bytes, expected {size}")
    return faults
