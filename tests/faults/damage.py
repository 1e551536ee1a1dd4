"""Files cut short at every byte and with flipped bits: found out, or harmless; and then the study goes on."""

from __future__ import annotations

import dataclasses
import json
import random
import shutil
import signal
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from orchestrator.proposing.checking import check, faulty
from orchestrator.results.decided import Decided
from orchestrator.results.histories import compact, read_repeats
from orchestrator.store import layout
from orchestrator.store.errors import DamagedRecordError
from orchestrator.store.leases import StaleWatch, current_lease
from orchestrator.store.schema import FinalRecord, Record, StudyRecord, parse_toml
from orchestrator.store.searches import Budget, Decision, SearchRecord
from orchestrator.store.segments import Divided, Recipe
from orchestrator.store.storage import TEMPORARY_PREFIX, LocalStorage, Storage
from search_spaces.configuration import Configuration
from tests.faults.learning import study_record
from tests.faults.rounds import DIVIDED, GOING_ON, WHOLE, Plan, World
from tests.faults.steps import STEPS, KillInWrite, Place
from tests.faults.tally import Compared, Results, Tally, compare
from trainables.data.manifest import read_manifest
from trainables.data.partition import Partition
from trainables.features.arrays import ChunkedArrays
from trainables.learning.group_state import GroupState

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
    """The files of unbroken studies."""
    study, whole = world.images, world.unbroken(DIVIDED).folder

    def one(pattern: str, folder: Path = whole) -> bytes:
        return sorted(folder.glob(pattern))[0].read_bytes()

    toml: tuple[tuple[str, type[Record], bytes], ...] = (
        ("study file", StudyRecord, study_record(study).to_toml()),
        ("configuration", Configuration, one("configurations/*")),
        ("search", SearchRecord, one("searches/*/search.toml")),
        ("budget", Budget, one("searches/*/budget-2.toml")),
        ("decision", Decision, one("searches/*/2.toml")),
        ("recipe", Recipe, one("segments/*/recipe.toml")),
        ("division", Divided, one("segments/*/divided.toml")),
    )
    return [
        *(Subject(name, content, partial(_parsed, kind)) for name, kind, content in toml),
        Subject("manifest", one(layout.MANIFEST), lambda c: read_manifest(c).to_csv()),
        Subject("partition", one("partitions/*"), lambda c: dict(Partition.from_bytes(c).groups)),
        Subject("history", one("bundles/*/*/*/final/*"), lambda c: FinalRecord.from_bytes(c, "x").to_bytes()),
        Subject("state", one("segments/*/state-*"), _group_state),
        Subject("checkpoint", _checkpoint(world), _group_state),
        Subject("lease", one("segments/*/lease-*.json"), _LeaseReading(world.folder / "lease")),
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


DAMAGED: dict[str, tuple[Plan, str]] = {
    "search": (WHOLE, "searches/*/search.toml"),
    "budget": (GOING_ON, "searches/*/budget-2.toml"),
    "decision": (GOING_ON, "searches/*/[0-9]*.toml"),
    "lease on deciding": (GOING_ON, "searches/*/lease-*.json"),
    "recipe": (GOING_ON, "segments/*/recipe.toml"),
    "lease": (GOING_ON, "segments/*/lease-*.json"),
    "checkpoint": (GOING_ON, "segments/*/attempt-*/*.checkpoint"),
    "state": (WHOLE, "segments/*/state-*"),
    "history": (GOING_ON, "bundles/*/*/*/final/*"),
    "division": (DIVIDED, "segments/*/divided.toml"),
}
"""Which files of a run are damaged once it has been killed."""


def damaged_and_finished(world: World, kind: str, count: int, seed: int, other: Plan | None = None) -> Tally:
    """A process is killed just after one of its writes of a kind; the newest of them is damaged before the next one.

    other: in place of the plan that this kind has.
    """
    tally, draws = Tally(f"damaged, then gone on{f', {other.name}' if other else ''}: {kind}"), random.Random(seed)
    plan, pattern = DAMAGED[kind]
    plan = other or plan
    step = "linked" if "linked" in STEPS[kind] else "renamed"
    occurrences = world.unbroken(plan).writes[Place(kind, step)]
    for number in range(count):
        fault = KillInWrite(kind, step, 1 + draws.randrange(occurrences))
        job = dataclasses.replace(world.fresh(plan), pause=0.02, fault=fault, renew_every_s=0.0, stale_after_s=1.0)
        status = world.processes.start(job).wait()
        whole = [path for path in job.study.folder.glob(pattern) if not path.name.startswith(TEMPORARY_PREFIX)]
        newest = max(whole, key=lambda path: path.stat().st_mtime_ns)
        newest.write_bytes(_hurt(newest.read_bytes(), number, draws))
        world.end(job, tally, plan, happened=status == -signal.SIGKILL)
    return tally


def torn_later(world: World, count: int, seed: int, plan: Plan) -> Tally:
    """Once all is done, a decision that others came after is damaged, and the same commands are given again."""
    tally, draws = Tally(f"damaged when others had come after it, {plan.name}: decision"), random.Random(seed)
    for number in range(count):
        job = world.fresh(plan)
        assert world.processes.start(job).wait() == 0
        *earlier, _last = sorted(job.study.folder.glob("searches/*/[0-9]*.toml"), key=lambda path: int(path.stem))
        torn = draws.choice(earlier)
        torn.write_bytes(_hurt(torn.read_bytes(), number, draws))
        world.end(job, tally, plan, comparing=_with_one_lost)
    return tally


def _with_one_lost(storage: Storage, expected: Results) -> Compared:
    """Rows as ever; of decisions those that were made since must follow from what is left."""
    since = [one for one in check(storage, Decided.of(storage)) if one.number > len(expected.decisions)]
    return dataclasses.replace(compare(storage, expected), decisions=len(faulty(since)))


def _hurt(content: bytes, number: int, draws: random.Random) -> bytes:
    """Cut short, or with one bit flipped, in turn."""
    if number % 2 == 0:
        return content[: draws.randrange(len(content))]
    changed = bytearray(content)
    changed[draws.randrange(len(changed))] ^= 1 << draws.randrange(8)
    return bytes(changed)


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


def _parsed(kind: type[Record], content: bytes) -> Record:
    return parse_toml(kind, content, "x")


def _group_state(content: bytes) -> tuple[str, str]:
    state = GroupState.from_bytes(content, "x")
    return json.dumps(state.meta, sort_keys=True), state.digest()


def _checkpoint(world: World) -> bytes:
    """Of a run that was killed, for one that is finished has none."""
    job = dataclasses.replace(world.fresh(), fault=KillInWrite("checkpoint", STEPS["checkpoint"][-1]))
    assert world.processes.start(job).wait() == -signal.SIGKILL
    return next(job.study.folder.glob("segments/*/attempt-*/*.checkpoint")).read_bytes()


class _LeaseReading:
    """A lease may say anything; reading it must not fail, and what it says is a reason to wait, never an error."""

    def __init__(self, folder: Path) -> None:
        self.storage = LocalStorage(folder)

    def __call__(self, content: bytes) -> bool:
        path = self.storage.local(layout.lease("leased", 1))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        lease = current_lease(self.storage, "leased")
        return lease is not None and StaleWatch().is_free("leased", lease) in (True, False)


def _parts(world: World) -> tuple[bytes, Callable[[bytes], Any]]:
    """A part of the compacted histories in a copy of the study: readers see the same rows whatever it holds."""
    folder = world.folder / "parts"
    shutil.copytree(world.unbroken().folder, folder)
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
    source = next(path.parent for path in world.images.cache.glob("features/**/arrays.json"))
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
