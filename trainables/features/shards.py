"""Features as rows of (image, view) in shards: what agrees in its key is computed once, whatever asks for it.

A shard is a folder of the cache, `features/<key>.<rows>`: the names of its rows, one a line, and their values. Its name
ends in a hash of these lines, so that a shard never holds other rows. A partition is an index into the shards of its
key; of an interrupted shard the finished chunks count.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from orchestrator.store.errors import DamagedRecordError, StorageError
from orchestrator.store.storage import LocalStorage
from trainables.features.arrays import ArraySpec, ChunkedArrays

_ROWS = "rows"
_NAME = 20
"""Hex digits of the hash of a shard's rows."""


class Part(NamedTuple):
    """A chunk of a shard, in whatever key: what is computed at a time. Rows first to first + rows of the shard."""

    shard: str
    chunk: int
    first: int
    rows: int


class Located(NamedTuple):
    """Where rows lie: of each the number of its store, int64 [rows], and its row there, int64 [rows]."""

    stores: list[ChunkedArrays]
    store: np.ndarray
    row: np.ndarray


@dataclass(frozen=True)
class _Shard:
    """number: of each of its rows, int64 [rows], which one it is of those that are asked for, else -1."""

    name: str
    store: ChunkedArrays
    number: np.ndarray

    @property
    def is_asked(self) -> np.ndarray:
        asked: np.ndarray = self.number >= 0
        return asked

    def unfinished(self) -> np.ndarray:
        """bool [rows]: those of chunks that are not written."""
        chunks = np.zeros(self.store.chunks, dtype=bool)
        chunks[self.store.missing()] = True
        return np.repeat(chunks, self.store.chunk_rows)[: self.store.rows]


class FeatureRows:
    """The rows of one key that somebody asks for, by name, some of them twice. Each method looks at the disk."""

    def __init__(
        self, cache: Path, key: str, names: Sequence[str], specs: Sequence[ArraySpec], chunk_rows: int
    ) -> None:
        """chunk_rows: of shards that are made from here."""
        self.folder = cache / "features"
        self.key = key
        self.names = names
        self.specs = tuple(specs)
        self._chunk_rows = chunk_rows

    @property
    def row_bytes(self) -> int:
        return sum(spec.row_bytes for spec in self.specs)

    @property
    def total_bytes(self) -> int:
        """Of all that are asked for, there or not."""
        return len(self._numbers) * self.row_bytes

    @property
    def is_prepared(self) -> bool:
        """Whether there is room on the disk for every row."""
        return not self.unreserved()

    def stores(self) -> list[ChunkedArrays]:
        """Of the shards that hold some of the rows, finished or not."""
        return [shard.store for shard in self._shards()]

    def lacking(self) -> list[str]:
        """Rows without values."""
        return self._named(self._lacks(self._shards()))

    def missing(self) -> list[Part]:
        """What is still to be computed once all is prepared: never a row beside those that lack values."""
        return self._left()[0]

    def unreserved(self) -> list[str]:
        """Rows without values that no shard has room for."""
        return self._named(self._left()[1])

    def prepare(self) -> None:
        """Reserve room on the disk, in a new shard of just the rows that have none. Raises StorageError."""
        if names := self.unreserved():
            self.reserve(names)

    def reserve(self, names: Sequence[str]) -> None:
        """A new shard of these rows; may be made by several processes at once. Raises StorageError."""
        content = "\n".join(names).encode()
        folder = self._folder(_hash(content))
        LocalStorage(folder).replace(_ROWS, content)
        ChunkedArrays(folder, self.specs, len(names), self._chunk_rows).prepare()

    def store(self, part: Part) -> ChunkedArrays:
        """The shard's values, with the space for them."""
        store = ChunkedArrays.load(self._folder(part.shard))
        store.prepare()
        return store

    def places(self, part: Part) -> np.ndarray:
        """Of each row of a part, int64 [rows], where it is among those asked for; the first one where it is twice."""
        names = _rows_of(self._folder(part.shard))[part.first : part.first + part.rows]
        return np.array([self._first[name] for name in names], dtype=np.int64)

    def located(self) -> Located:
        """Where each row that is asked for lies, in the order asked; raises StorageError where one has no values."""
        shards = self._shards()
        store, row = np.full((2, len(self._numbers)), -1, dtype=np.int64)
        for place, shard in enumerate(shards):
            rows = np.flatnonzero(shard.is_asked & ~shard.unfinished())
            rows = rows[store[shard.number[rows]] < 0]
            store[shard.number[rows]], row[shard.number[rows]] = place, rows
        if (store < 0).any():
            raise StorageError(
                f"{(store < 0).sum()} of {len(store)} rows of features are not in {self.folder}: expected all of them, "
                f"under {self.key}",
                "Run the same command again, and delete nothing of the cache while it runs.",
            )
        used = np.unique(store)
        asked = np.array([self._numbers[name] for name in self.names], dtype=np.int64)
        return Located([shards[place].store for place in used], np.searchsorted(used, store[asked]), row[asked])

    @cached_property
    def _numbers(self) -> dict[str, int]:
        """Each distinct row by name, numbered in the order asked."""
        return {name: number for number, name in enumerate(dict.fromkeys(self.names))}

    @cached_property
    def _first(self) -> dict[str, int]:
        return {name: len(self.names) - 1 - place for place, name in enumerate(reversed(self.names))}

    def _folder(self, shard: str) -> Path:
        return self.folder / f"{self.key}.{shard}"

    def _named(self, chosen: np.ndarray) -> list[str]:
        return [name for name, number in self._numbers.items() if chosen[number]]

    def _shards(self) -> list[_Shard]:
        """Those that hold some of the rows, those that hold most of them first."""
        shards = []
        for folder in sorted(self.folder.glob(f"{self.key}.*")):
            try:
                names = _rows_of(folder)
            except (FileNotFoundError, DamagedRecordError):
                continue  # nobody knows what it holds
            try:
                store = ChunkedArrays.load(folder)
            except FileNotFoundError:
                continue  # not made yet, or deleted
            shard = _Shard(folder.suffix[1:], store, np.array([self._numbers.get(name, -1) for name in names]))
            if shard.is_asked.any():
                shards.append(shard)
        return sorted(shards, key=lambda shard: -shard.is_asked.sum())

    def _lacks(self, shards: Iterable[_Shard]) -> np.ndarray:
        """bool [distinct rows]: without values."""
        lacks = np.ones(len(self._numbers), dtype=bool)
        for shard in shards:
            lacks[shard.number[shard.is_asked & ~shard.unfinished()]] = False
        return lacks

    def _left(self) -> tuple[list[Part], np.ndarray]:
        """Unfinished chunks that hold nothing but rows that lack values, and bool [distinct rows]: those in none."""
        shards = self._shards()
        lacks, parts = self._lacks(shards), []
        for shard in shards:
            for chunk in shard.store.missing():
                rows = shard.store.rows_of(chunk)
                numbers = shard.number[rows.start : rows.stop]
                if (numbers >= 0).all() and lacks[numbers].all():
                    parts.append(Part(shard.name, chunk, rows.start, len(rows)))
                    lacks[numbers] = False
        return parts, lacks


def reserve_together(several: Iterable[FeatureRows]) -> None:
    """Room for what is missing of several keys; rows that the same of them lack lie in shards of one name, so that one
    pass gives them all. Raises StorageError."""
    of = {rows.key: rows for rows in several}
    lacking: dict[str, list[str]] = {}
    for key, rows in of.items():
        for name in rows.unreserved():
            lacking.setdefault(name, []).append(key)
    alike: dict[tuple[str, ...], list[str]] = {}
    for name, keys in lacking.items():
        alike.setdefault(tuple(keys), []).append(name)
    for lackers, shared in alike.items():
        for key in lackers:
            of[key].reserve(shared)


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:_NAME]


@lru_cache(maxsize=16)
def _rows_of(folder: Path) -> list[str]:
    """Names of a shard's rows, which its own name never has others of; raises FileNotFoundError, DamagedRecordError."""
    content = LocalStorage(folder).read(_ROWS)
    if _hash(content) != folder.suffix[1:]:
        raise DamagedRecordError(f"{folder / _ROWS}: not the rows that the name of its folder is of")
    return content.decode().split("\n")
