"""Histories of all repeats in one place: immutable parquet parts, derived from final records and from nothing else.

A part is two files, `part-<hash>.epochs.parquet` and `part-<hash>.repeats.parquet`, written in this order; the hash is
over the bytes of both, so a torn or changed part is always found, and two compactors that gather the same records write
the same file. Parts may overlap after a crash or beside another compactor; rows are keyed by (partition, configuration,
repeat, epochs, diverged), and readers keep one of each. What no part holds is read from its final record.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import math
import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from orchestrator.results.finals import KEY, REPEAT_COLUMNS, FinalKey, read_final, set_aside
from orchestrator.results.parts import SHAPE, Part, whole_part
from orchestrator.store.damage import Damaged, note
from orchestrator.store.errors import DamagedRecordError
from orchestrator.store.forgotten import read_forgotten
from orchestrator.store.layout import BUNDLES, HISTORIES, BundleKey, FinalName, parse_damaged, parse_final
from orchestrator.store.schema import FinalRecord, Metric, RepeatState
from orchestrator.store.storage import Storage

MERGE_ABOVE = 8
"""More parts than this are merged into one."""
SMALL_PART = 4000
"""Parts of at least this many repeats are left as they are."""

_PART = re.compile(r"(part-([0-9a-f]{16}))\.(repeats|epochs)\.parquet")


@dataclass(frozen=True)
class Repeats:
    """All repeats that have a result, the one with most epochs where there are several.

    table: one row per repeat, sorted by partition, configuration and repeat; columns as in the parts.
    splits: names of the second axis below, "train" and "valid" first.
    loss: float64 [rows, splits], NaN where a repeat has no such split.
    measured: float64 [rows, splits], by the metric that selects where that is measured; else NaN.
    statistics: int32 [rows, splits, *shape], those of the task; without any row their shape is not known.
    start: int64 [repeats + 1]; repeat i of the table has rows start[i] (epoch 0) to start[i + 1] − 1.
    damaged: final records and parts that could not be read.
    """

    table: pd.DataFrame
    splits: tuple[str, ...]
    loss: np.ndarray
    measured: np.ndarray
    statistics: np.ndarray
    start: np.ndarray
    damaged: tuple[Damaged, ...]

    def __len__(self) -> int:
        return len(self.table)

    def measured_by(self, metric: Metric) -> np.ndarray:
        """float64 [rows, splits], NaN in the rows of repeats that select by another metric."""
        mine = np.repeat((self.table["selection"] == metric).to_numpy(), np.diff(self.start))
        return np.where(mine[:, None], self.measured, np.nan)


def list_bundles(storage: Storage) -> list[BundleKey]:
    """Every bundle that has a folder, sorted, but for those that were forgotten: of what is trained together with
    others results may come again."""
    bundles, forgotten = [], read_forgotten(storage)
    for partition in storage.list(BUNDLES):
        for configuration in storage.list(f"{BUNDLES}/{partition}"):
            for index in storage.list(f"{BUNDLES}/{partition}/{configuration}"):
                if index.isdecimal() and not forgotten.holds(partition, configuration):
                    bundles.append(BundleKey(partition, configuration, int(index)))
    return sorted(bundles)


def list_finals(storage: Storage, bundles: Iterable[BundleKey] | None = None) -> list[FinalKey]:
    """Every final record there is, by its file name alone. One that was set aside and not trained again is noted."""
    finals = []
    for bundle in list_bundles(storage) if bundles is None else bundles:
        names = storage.list(bundle.finals)
        there = [parsed for name in names if (parsed := parse_final(name)) is not None and parsed[0] in bundle.repeats]
        finals += [FinalKey(bundle.partition, bundle.configuration, *parsed) for parsed in there]
        for name in names:
            aside = parse_damaged(name)
            if aside is not None and not any(_makes_up_for(one, aside) for one in there):
                note(storage, f"{bundle.finals}/{name}", f"{bundle.finals}/{name} cannot be read and was set aside")
    return finals


def _makes_up_for(final: FinalName, lost: FinalName) -> bool:
    return final.repeat == lost.repeat and (final.epochs >= lost.epochs or final.state.ended_by_itself())


@dataclass(frozen=True)
class Compacted:
    """How many final records were gathered, and those that were set aside because they cannot be read."""

    gathered: int
    set_aside: tuple[Damaged, ...]


def compact(storage: Storage) -> Compacted:
    """Gather the final records that no whole part holds into a new part.

    Safe at any time, beside readers, writers and other compactors; damaged parts are removed and made again. A damaged
    final record is set aside under a name that is no final record's: its repeat is owed again and can be made again.
    Only records that no part holds are read. Raises StorageError when the study cannot be written.
    """
    parts, damaged = read_parts(storage)
    for broken in damaged:
        storage.delete(broken.path)
    held = {key for part in parts.values() for key in part.keys}
    loose = [key for key in list_finals(storage) if key not in held]
    fresh, broken_finals = gather(storage, loose)
    paths = {broken.path for broken in broken_finals}
    aside = {key.path for key in loose if key.path in paths and set_aside(storage, key)}
    if fresh is not None:
        parts[_write_part(storage, fresh)] = fresh
    small = {name: part for name, part in parts.items() if part.repeats.num_rows < SMALL_PART}
    if len(parts) > MERGE_ABOVE and len(small) > 1:
        _merge(storage, small, set(parts))
    gathered = fresh.repeats.num_rows if fresh is not None else 0
    return Compacted(gathered, tuple(broken for broken in broken_finals if broken.path in aside))


def read_repeats(storage: Storage) -> Repeats:
    """Read all results, from parts where they hold them and from final records where not; writes nothing.

    A final record is the truth: a part's row without one is not returned.
    """
    finals = list_finals(storage)
    parts, damaged = read_parts(storage, whole=False)
    held = {key for part in parts.values() for key in part.keys}
    loose, broken = gather(storage, [key for key in finals if key not in held])
    together = [*parts.values(), *([] if loose is None else [loose])]
    for one in broken:
        note(storage, one.path, one.reason)
    shapes = Counter(dict.fromkeys((part.shape for part in together), 0))
    for part in together:
        shapes[part.shape] += part.repeats.num_rows
    usual = shapes.most_common(1)
    for name, part in parts.items():
        if part.shape != usual[0][0]:
            path = f"{HISTORIES}/{name}.epochs.parquet"
            note(storage, path, f"{path} has statistics of a different shape from most records beside it")
    return _join([part for part in together if part.shape == usual[0][0]], set(finals), (*damaged, *broken))


def gather(storage: Storage, keys: Sequence[FinalKey]) -> tuple[Part | None, list[Damaged]]:
    """Read final records one by one into a part in memory; None when there is none that is whole."""
    damaged: list[Damaged] = []
    read: list[tuple[FinalKey, dict[str, object], FinalRecord]] = []
    for key in sorted(keys, key=FinalKey.place):
        try:
            read.append((key, *read_final(key, storage.read(key.path))))
        except FileNotFoundError:
            continue
        except DamagedRecordError as error:
            damaged.append(Damaged(key.path, error.message))
    shapes = Counter(record.history.statistics.shape[2:] for _, _, record in read)
    usual = shapes.most_common(1)[0][0] if shapes else ()
    damaged += [
        Damaged(key.path, f"{key.path} has statistics of a different shape from most records beside it")
        for key, _, record in read
        if record.history.statistics.shape[2:] != usual
    ]
    rows = [row for _, row, record in read if record.history.statistics.shape[2:] == usual]
    records = [record for _, _, record in read if record.history.statistics.shape[2:] == usual]
    if not records:
        return None, damaged
    schema = pa.schema(list(REPEAT_COLUMNS.items()))
    return Part(pa.Table.from_pylist(rows, schema=schema), _epochs_table(rows, records)), damaged


def _epochs_table(rows: Sequence[dict[str, object]], records: Sequence[FinalRecord]) -> pa.Table:
    """One row per repeat, epoch and split, in the order of the repeats."""
    sizes = [record.history.loss.size for record in records]
    statistics = np.concatenate([record.history.statistics.astype(np.int32).ravel() for record in records])
    shape = records[0].history.statistics.shape[2:]
    columns: dict[str, pa.Array] = {}
    for name in KEY:
        values = pa.array([row[name] for row in rows], type=REPEAT_COLUMNS[name])
        columns[name] = values.take(pa.array(np.repeat(np.arange(len(rows)), sizes)))
    epochs = [np.repeat(np.arange(len(r.history.loss)), len(r.history.splits)) for r in records]
    columns["epoch"] = pa.array(np.concatenate(epochs).astype(np.int32))
    columns["split"] = pa.array([name for r in records for name in r.history.splits * len(r.history.loss)])
    columns["loss"] = pa.array(np.concatenate([record.history.loss.ravel() for record in records]), type=pa.float64())
    measured = [
        np.full(size, np.nan) if (m := r.history.measured) is None else m.ravel()
        for r, size in zip(records, sizes, strict=True)
    ]
    columns["measured"] = pa.array(np.concatenate(measured), type=pa.float64())
    columns["statistics"] = pa.FixedSizeListArray.from_arrays(pa.array(statistics), math.prod(shape))
    return pa.table(columns).replace_schema_metadata({SHAPE: json.dumps(shape)})


def _write_part(storage: Storage, part: Part) -> str:
    """Write the epochs first, then the repeats, which make the part count; return its name."""
    repeats, epochs = _parquet(part.repeats), _parquet(part.epochs)
    name = f"part-{_hash(repeats, epochs)}"
    storage.create(f"{HISTORIES}/{name}.epochs.parquet", epochs)
    storage.create(f"{HISTORIES}/{name}.repeats.parquet", repeats)
    return name


def _merge(storage: Storage, small: dict[str, Part], known: set[str]) -> None:
    """Replace small parts by one that holds each of their records once, and sweep epochs without repeats."""
    seen: set[FinalKey] = set()
    repeats, epochs = [], []
    for part in small.values():
        keys = part.keys
        wanted = np.array([key not in seen for key in keys], dtype=bool)
        seen.update(keys)
        rows = np.repeat(wanted, part.rows)
        repeats.append(part.repeats.filter(pa.array(wanted)))
        epochs.append(part.epochs.filter(pa.array(rows)))
    merged = _write_part(storage, Part(pa.concat_tables(repeats), pa.concat_tables(epochs)))
    listed = [match for name in storage.list(HISTORIES) if (match := _PART.fullmatch(name))]
    whole = {match[1] for match in listed if match[3] == "repeats"}
    for match in listed:
        if match[1] != merged and (match[1] in small or (match[1] not in known and match[1] not in whole)):
            storage.delete(f"{HISTORIES}/{match[0]}")


def read_parts(
    storage: Storage, but: Collection[str] = (), *, whole: bool = True
) -> tuple[dict[str, Part], list[Damaged]]:
    """Whole parts by name, and the files of those that are not: no damage, for final records hold the same.

    but: names of parts that are left out. whole: False for epochs that are only reckoned with and not written again:
    without their keys, and splits as codes into a dictionary.
    """
    parts: dict[str, Part] = {}
    damaged: list[Damaged] = []
    for name in storage.list(HISTORIES):
        match = _PART.fullmatch(name)
        if match is None or match[3] != "repeats" or match[1] in but:
            continue
        files = f"{HISTORIES}/{match[1]}.repeats.parquet", f"{HISTORIES}/{match[1]}.epochs.parquet"
        repeats = epochs = b""
        try:
            with contextlib.suppress(FileNotFoundError):  # another process has just merged it
                repeats, epochs = storage.read(files[0]), storage.read(files[1])
            if _hash(repeats, epochs) == match[2]:
                parts[match[1]] = whole_part(repeats, epochs, files, whole)
            elif repeats:
                raise DamagedRecordError(f"{files[0]} fails its checksum")
        except DamagedRecordError as error:
            damaged.extend(Damaged(path, error.message) for path in files)
    return parts, damaged


def _join(parts: Sequence[Part], finals: set[FinalKey], damaged: tuple[Damaged, ...]) -> Repeats:
    """Keep the longest of every repeat, once, and lay the epochs out in the order of the table."""
    if not parts:
        empty = pd.DataFrame({name: [] for name in REPEAT_COLUMNS})
        nothing = np.zeros((0, 2))
        counts = nothing.astype(np.int32)
        return Repeats(empty, ("train", "valid"), nothing, nothing, counts, np.zeros(1, int), damaged)
    table = pa.concat_tables([part.repeats for part in parts]).to_pandas()
    listed = np.array([key in finals for part in parts for key in part.keys], dtype=bool)
    # of two records with the same epochs the one that has them all counts, as for what is owed
    is_whole = table["state"] == RepeatState.FINISHED.value
    table = table.assign(is_whole=is_whole)[listed].sort_values([*KEY, "is_whole"])
    table = table.drop_duplicates(KEY[:3], keep="last").drop(columns="is_whole")
    place = np.full(len(listed), -1, dtype=np.int64)
    place[table.index.to_numpy()] = np.arange(len(table))
    start = np.concatenate([[0], np.cumsum(table["history_epochs"].to_numpy(dtype=np.int64) + 1)])
    encoded = [part.epochs.column("split").dictionary_encode().unify_dictionaries().combine_chunks() for part in parts]
    names = {name for split in encoded for name in split.dictionary.to_pylist()}
    splits = ("train", "valid", *sorted(names - {"train", "valid"}))
    shape = parts[0].shape
    loss, measured = np.full((2, start[-1] * len(splits)), np.nan)
    statistics = np.zeros((len(loss), math.prod(shape)), dtype=np.int32)
    offset = 0
    for part, split in zip(parts, encoded, strict=True):
        rows = part.rows
        target = np.repeat(place[offset : offset + len(rows)], rows)
        offset += len(rows)
        kept = _in_one_piece(np.flatnonzero(target >= 0))
        row = start[target[kept]] + part.epochs.column("epoch").to_numpy()[kept]
        order = np.array([splits.index(name) for name in split.dictionary.to_pylist()], dtype=np.int64)
        cell = _in_one_piece(row * len(splits) + order[split.indices.to_numpy()[kept]])
        loss[cell] = part.epochs.column("loss").to_numpy()[kept]
        measured[cell] = part.epochs.column("measured").to_numpy()[kept]
        statistics[cell] = part.statistics()[kept]
    grid = int(start[-1]), len(splits)
    flat = loss.reshape(grid), measured.reshape(grid), statistics.reshape(*grid, *shape)
    return Repeats(table.reset_index(drop=True), splits, *flat, start, damaged)


def _in_one_piece(places: np.ndarray) -> np.ndarray | slice:
    """The same as a slice where each place follows the one before, as in a part alone: copied in one piece."""
    follow = len(places) > 0 and bool((np.diff(places) == 1).all())
    return slice(int(places[0]), int(places[-1]) + 1) if follow else places


def _parquet(table: pa.Table) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    return buffer.getvalue()


def _hash(repeats: bytes, epochs: bytes) -> str:
    digest = hashlib.sha256(repeats)
    digest.update(epochs)
    return digest.hexdigest()[:16]
