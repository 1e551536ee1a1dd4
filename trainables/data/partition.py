"""A partition: the mapping of groups to splits, the file it is kept in, and what lies in its splits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from orchestrator.store.errors import DamagedRecordError, InputError
from orchestrator.store.parquet import read_parquet
from orchestrator.store.parsing import json_object
from orchestrator.store.record import canonical_json, short_hash

if TYPE_CHECKING:
    import pandas as pd

SPLITS = ("train", "valid", "test")
_SHOWN = 10


@dataclass(frozen=True)
class GroupTable:
    """Amounts, int64 [G, K] in images or pixels, of each class in each group; groups and labels sorted."""

    groups: tuple[str, ...]
    labels: tuple[str, ...]
    amounts: np.ndarray

    @classmethod
    def of(cls, manifest: pd.DataFrame, unit: Literal["images", "pixels"]) -> GroupTable:
        groups, rows = np.unique(manifest["group"].to_numpy(dtype=object), return_inverse=True)
        labels, columns = np.unique(manifest["label"].to_numpy(dtype=object), return_inverse=True)
        amounts = np.zeros((len(groups), len(labels)), dtype=np.int64)
        added: Any = 1
        if unit == "pixels":
            added = manifest["width"].to_numpy(dtype=np.int64) * manifest["height"].to_numpy(dtype=np.int64)
        np.add.at(amounts, (rows, columns), added)
        return cls(tuple(groups.tolist()), tuple(labels.tolist()), amounts)


@dataclass(frozen=True)
class Partition:
    """Which split every group belongs to.

    groups: group → "train", "valid" or "test". policy and seed: how it was made. details: JSON values, per class the
    shares reached, numbers of groups, both parts of the distance, and μ and ε where the policy has them.
    """

    groups: dict[str, str]
    policy: str
    seed: int = 0
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """Twelve hex digits over the mapping alone: equal mappings are one partition, however they were made."""
        return short_hash(self.groups)

    def to_bytes(self) -> bytes:
        """A parquet file with the columns group and split; the rest and a checksum lie in the schema's metadata."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        names = sorted(self.groups)
        text = canonical_json({"policy": self.policy, "seed": self.seed, "details": self.details})
        table = pa.table({"group": names, "split": [self.groups[name] for name in names]}).replace_schema_metadata(
            {"partition": text, "sha256": short_hash([text, self.groups], 64)}
        )
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink)
        return bytes(sink.getvalue().to_pybytes())

    @classmethod
    def from_bytes(cls, content: bytes, name: str = "partition") -> Partition:
        """Read what `to_bytes` wrote; raise DamagedRecordError when anything in it is not as it was written."""
        table = read_parquet(content, name, {"group": "text", "split": "text"}, only=True)
        about = table.schema.metadata or {}
        groups = dict(zip(table["group"].to_pylist(), table["split"].to_pylist(), strict=True))
        text = about.get(b"partition", b"").decode(errors="replace")
        meta = json_object(text, f"{name}, how it was made,")
        policy, seed, details = (meta.get(key) for key in ("policy", "seed", "details"))
        if not (isinstance(policy, str) and isinstance(seed, int) and isinstance(details, dict)):
            raise DamagedRecordError(f"{name} does not say how it was made: expected policy, seed and details")
        if short_hash([text, groups], 64).encode() != about.get(b"sha256"):
            raise DamagedRecordError(f"{name} fails its checksum")
        if not set(groups.values()) <= set(SPLITS):
            raise DamagedRecordError(f"{name} has other splits than {', '.join(SPLITS)}")
        return cls(groups, policy, seed, details)


def splits(manifest: pd.DataFrame, partition: Partition) -> pd.Series[str]:
    """The split of every image, aligned with the manifest; InputError for groups that the partition does not know."""
    groups = manifest["group"]
    unknown = sorted(set(groups) - partition.groups.keys())
    if unknown:
        raise InputError(
            f"partition {partition.id} does not know {counted(unknown, 'group')}",
            "The images changed since it was made: start another study for them, or give the data it was made from.",
        )
    return groups.map(partition.groups).rename("split")


def describe(manifest: pd.DataFrame, partition: Partition) -> pd.DataFrame:
    """One row per class and split (also where there is nothing): label, split, groups, images, pixels (int64).

    Classes in alphabetical order, splits as train, valid, test. A group of several classes counts once in each.
    """
    import pandas as pd

    images, pixels = GroupTable.of(manifest, "images"), GroupTable.of(manifest, "pixels")
    splits(manifest, partition)  # refuses groups that are not in the partition
    split = np.array([SPLITS.index(partition.groups[group]) for group in images.groups])
    rows = []
    for k, label in enumerate(images.labels):
        for s, name in enumerate(SPLITS):
            counts = images.amounts[split == s, k]
            held = pixels.amounts[split == s, k]
            rows.append((label, name, int((counts > 0).sum()), int(counts.sum()), int(held.sum())))
    return pd.DataFrame(rows, columns=["label", "split", "groups", "images", "pixels"])


def counted(names: Sequence[str], what: str, quote: bool = True) -> str:
    """ "2 groups ('a', 'b')", with at most ten of them shown."""
    shown = ", ".join(repr(name) if quote else name for name in names[:_SHOWN])
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{len(names)} {what}{'' if len(names) == 1 else 's'} ({shown}{more})"
