"""Weights of a repeat at its selected epoch, kept in the study beside the final record, and how many are kept.

A file is a plain safetensors file with a checksum inside. Its name says repeat, epochs asked and size in bytes, so that
a budget is computed from listings alone.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from orchestrator.store.errors import DamagedRecordError
from orchestrator.store.layout import BUNDLES, BundleKey
from orchestrator.store.record import pack, unpack
from orchestrator.store.storage import Storage

DEFAULT_BUDGET_BYTES = 1_000_000_000
_NAME = re.compile(r"(\d{1,6})\.e(\d{1,6})\.b(\d{1,15})")


@dataclass(frozen=True)
class KeptWeights:
    """One kept file, by its name."""

    key: BundleKey
    repeat: int
    epochs: int
    bytes: int

    @property
    def path(self) -> str:
        return f"{_folder(self.key)}/{self.repeat}.e{self.epochs}.b{self.bytes}"


class StoredWeights(NamedTuple):
    """What a kept file holds; see `keep`."""

    meta: dict[str, object]
    weights: dict[str, np.ndarray]


def keep(
    storage: Storage,
    key: BundleKey,
    repeat: int,
    epochs: int,
    weights: Mapping[str, np.ndarray],
    meta: Mapping[str, object],
) -> KeptWeights:
    """Store the weights of a repeat that was asked for so many epochs; `meta` (JSON values) lies beside them."""
    content = pack({**meta, "repeat": repeat, "epochs": epochs}, weights)
    kept = KeptWeights(key, repeat, epochs, len(content))
    storage.create(kept.path, content)
    return kept


def read_kept(storage: Storage, key: BundleKey, repeat: int, epochs: int) -> StoredWeights | None:
    """Of a repeat, or None where nothing is kept or it is damaged; a damaged file is removed."""
    for kept in in_bundle(storage, key):
        if (kept.repeat, kept.epochs) == (repeat, epochs):
            with contextlib.suppress(FileNotFoundError):
                try:
                    return StoredWeights(*unpack(storage.read(kept.path), kept.path))
                except DamagedRecordError:
                    storage.delete(kept.path)
    return None


def in_bundle(storage: Storage, key: BundleKey) -> list[KeptWeights]:
    """Every kept file of a bundle, by repeat and epochs."""
    matches = [_NAME.fullmatch(name) for name in storage.list(_folder(key))]
    return sorted(
        (KeptWeights(key, int(m[1]), int(m[2]), int(m[3])) for m in matches if m), key=lambda k: (k.repeat, k.epochs)
    )


def in_partition(storage: Storage, partition: str) -> list[KeptWeights]:
    """Every kept file of a partition."""
    return [
        kept
        for configuration in storage.list(f"{BUNDLES}/{partition}")
        for index in storage.list(f"{BUNDLES}/{partition}/{configuration}")
        if index.isdecimal()
        for kept in in_bundle(storage, BundleKey(partition, configuration, int(index)))
    ]


def retain(storage: Storage, partition: str, order: Sequence[str], budget_bytes: int) -> list[KeptWeights]:
    """Keep the weights of whole configurations in this order as far as the budget goes; delete and return the others.

    order: configuration ids, the most wanted first; those that are not in it come last. A configuration that does not
    fit is dropped, and smaller ones after it may still stay.
    """
    by_configuration: dict[str, list[KeptWeights]] = {}
    for kept in in_partition(storage, partition):
        by_configuration.setdefault(kept.key.configuration, []).append(kept)
    place = {name: rank for rank, name in enumerate(order)}
    room, dropped = budget_bytes, list[KeptWeights]()
    for name in sorted(by_configuration, key=lambda name: (place.get(name, len(place)), name)):
        needed = sum(kept.bytes for kept in by_configuration[name])
        if needed <= room:
            room -= needed
        else:
            dropped += by_configuration[name]
    for kept in dropped:
        storage.delete(kept.path)
    return dropped


def _folder(key: BundleKey) -> str:
    return f"{key.folder}/weights"
