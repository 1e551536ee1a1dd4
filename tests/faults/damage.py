"""Files cut short at every byte and with flipped bits: found out, or harmless; and then the study goes on."""

from __future__ import annotations

import dataclasses
import json
import random
import shutil
import signal
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.results.histories import compact, read_repeats
from orchestrator.store import layout
from orchestrator.store.errors import DamagedRecordError
from orchestrator.store.layout import BundleKey
from orchestrator.store.leases import StaleWatch, current_lease
from orchestrator.store.record import unpack
from orchestrator.store.schema import FinalRecord, Recipe, Request, StudyRecord, parse_toml
from orchestrator.store.storage import TEMPORARY_PREFIX, LocalStorage
from search_spaces.configuration import Configuration
from tests.faults.noting import lane_steps
from tests.faults.rounds import World
from tests.faults.steps import KillInWrite
from tests.faults.tally import Tally
from trainables.data.manifest import read_manifest
from trainables.data.partition import Partition
from trainables.features.arrays import ChunkedArrays

SMALL = 20_000
"""Files up to this many bytes are cut at every byte, larger ones near both ends and at some bytes between."""


@dataclass(frozen=True)
class Subject:
    """A whole file's content, and how it is read; `value` makes two readings comparable."""

    name: str
    content: bytes
    value: Callable[[bytes], Any]
    sampled: int = 0
    """Cut at so many bytes only, because reading takes long."""


def subjects(world: World) -> list[Subject]:
    """The files of the unbroken study."""
    folder, study = world.unbroken.folder, world.unbroken
    final = sorted(folder.glob("bundles/*/*/*/final/*"))[0]
    checkpoint = sorted(folder.glob("bundles/*/*/*/attempt-*/*.checkpoint"))[0]
    lease = sorted(folder.glob("bundles/*/*/*/lease-*.json"))[0]
    record = StudyRecord(
        name="tiny", task="binary", classes=study.classes, precision="fp32", group_meaning="column group",
        data_fingerprint=study.fingerprint, test_fingerprint="0" * 64, partition=study.partition, created="2026-01-01",
        versions={"python": "3.11"},
    )  # fmt: skip
    kinds = {"request": (Request, "requests/*"), "configuration": (Configuration, "configurations/*")}
    kinds["recipe"] = Recipe, "bundles/*/*/*/recipe.toml"
    toml = [
        Subject(name, sorted(folder.glob(pattern))[0].read_bytes(), lambda c, kind=kind: parse_toml(kind, c, "x"))
        for name, (kind, pattern) in kinds.items()
    ]
    return [
        Subject("study file", record.to_toml(), lambda c: parse_toml(StudyRecord, c, "x")),
        Subject("manifest", (folder / layout.MANIFEST).read_bytes(), lambda c: read_manifest(c).to_csv()),
        Subject(
            "partition",
            (folder / layout.partition(study.partition)).read_bytes(),
            lambda c: dict(Partition.from_bytes(c).groups),
        ),
        *toml,
        Subject("history", final.read_bytes(), lambda c: FinalRecord.from_bytes(c, "x").to_bytes()),
        Subject("checkpoint", checkpoint.read_bytes(), _unpacked),
        Subject("lease", lease.read_bytes(), _LeaseReading(world.folder / "lease")),
        Subject("compacted history", *_parts(world), sampled=60),
        Subject("feature shard", *_shard(world), sampled=300),
    ]


def cut_short(subject: Subject, seed: int, most: int) -> Tally:
    """Cut at every byte, or at `most` of them."""
    size = len(subject.content)
    places: Iterable[int] = range(size)
    draws = random.Random(seed)
    most = min(most, subject.sampled or most)
    if size > SMALL or subject.sampled or most < size:
        near = {*range(min(size, most // 4)), *range(max(0, size - most // 4), size)}
        places = sorted(near | {draws.randrange(size) for _ in range(most // 2)})
    return _read(Tally(f"cut short: {subject.name}"), subject, (subject.content[:place] for place in places))


def flipped(subject: Subject, seed: int, most: int) -> Tally:
    """One bit flipped, or a whole byte replaced, at random places."""
    draws = random.Random(seed)

    def contents() -> Iterable[bytes]:
        for _ in range(min(most, subject.sampled or most)):
            content = bytearray(subject.content)
            content[draws.randrange(len(content))] ^= draws.choice((*(1 << bit for bit in range(8)), 0xFF))
            yield bytes(content)

    return _read(Tally(f"bytes flipped: {subject.name}"), subject, contents())


def damaged_and_finished(world: World, count: int, seed: int) -> Tally:
    """The newest checkpoint, or a final record, of a killed run is damaged before the next one."""
    tally, draws = Tally("newest checkpoint or a history damaged, then resumed"), random.Random(seed)
    for number in range(count):
        job = dataclasses.replace(world.fresh(), pause=0.02)
        kind = ("checkpoint", "history")[number % 2]
        killed = dataclasses.replace(job, fault=KillInWrite(kind, "folder flushed", 3 if kind == "checkpoint" else 2))
        status = world.processes.start(killed).wait()
        pattern = "bundles/*/*/*/attempt-*/*.checkpoint" if kind == "checkpoint" else "bundles/*/*/*/final/*"
        whole = [path for path in job.study.folder.glob(pattern) if not path.name.startswith(TEMPORARY_PREFIX)]
        newest = max(whole, key=lambda path: path.stat().st_mtime_ns)
        content = bytearray(newest.read_bytes())
        if draws.random() < 0.5:
            content[draws.randrange(len(content))] ^= 1 << draws.randrange(8)
        else:
            del content[draws.randrange(len(content)) :]
        newest.write_bytes(content)
        assert lane_steps(job.log) > 0
        world.end(job, tally, happened=status == -signal.SIGKILL)
    return tally


def _read(tally: Tally, subject: Subject, contents: Iterable[bytes]) -> Tally:
    right = subject.value(subject.content)
    for content in contents:
        tally.tried += 1
        tally.happened += 1
        try:
            tally.wrong += subject.value(content) != right
        except DamagedRecordError:
            continue
        except Exception as error:
            tally.remarks.append(f"{subject.name}: {type(error).__name__}: {error}"[:300])
    return tally


def _unpacked(content: bytes) -> tuple[str, dict[str, bytes]]:
    meta, arrays = unpack(content)
    return json.dumps(meta, sort_keys=True), {name: array.tobytes() for name, array in arrays.items()}


class _LeaseReading:
    """A lease may say anything; reading it must not fail, and what it says is a reason to wait, never an error."""

    def __init__(self, folder: Path) -> None:
        self.storage = LocalStorage(folder)
        self.key = BundleKey("p", "c", 0)

    def __call__(self, content: bytes) -> bool:
        (self.storage.root / self.key.folder).mkdir(parents=True, exist_ok=True)
        (self.storage.root / self.key.lease(1)).write_bytes(content)
        lease = current_lease(self.storage, self.key)
        return lease is not None and StaleWatch().is_free(self.key, lease) in (True, False)


def _parts(world: World) -> tuple[bytes, Callable[[bytes], Any]]:
    """A part of the compacted histories in a copy of the study: readers see the same rows whatever it holds."""
    folder = world.folder / "parts"
    shutil.copytree(world.unbroken.folder, folder)
    storage = LocalStorage(folder)
    compact(storage)
    part = sorted(folder.glob("histories/*.epochs.parquet"))[0]

    def value(content: bytes) -> Any:
        part.write_bytes(content)
        found = read_repeats(storage)
        return found.table.to_csv(), found.loss.tobytes(), found.statistics.tobytes()

    return part.read_bytes(), value


def _shard(world: World) -> tuple[bytes, Callable[[bytes], Any]]:
    """The features of the unbroken run in a copy: what is damaged is discarded, what is left is right."""
    source = next(path.parent for path in world.unbroken.cache.glob("features/**/arrays.json"))
    folder = world.folder / "shard"
    shutil.copytree(source, folder)
    file = sorted(folder.glob("*.bin"))[0]
    whole = file.read_bytes()
    marks = {path: path.read_bytes() for path in (folder / "chunks").iterdir()}

    def value(content: bytes) -> bool:
        file.write_bytes(content)
        for path, mark in marks.items():
            path.write_bytes(mark)
        arrays = ChunkedArrays.load(folder)
        if len(content) == len(whole):
            arrays.discard_damaged()
        return content == whole or bool(arrays.missing())

    return whole, value
