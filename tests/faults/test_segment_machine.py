"""A small study that is really trained, driven at random (ask, decide, take, advance, kill, steal, divide, delete,
damage): in the end every lane that was asked has the bits of a study that nobody disturbed."""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from orchestrator.proposing.deciding import Deciding, Machine
from orchestrator.results.decided import Decided
from orchestrator.results.histories import Repeats, compact, read_repeats
from orchestrator.results.news import NewsReader
from orchestrator.running import work_queue
from orchestrator.running.tally import Tally as Counts
from orchestrator.running.work_queue import Taken, WorkQueue
from orchestrator.store import layout, leases
from orchestrator.store.errors import DamagedRecordError
from orchestrator.store.leases import Lease, current_lease
from orchestrator.store.schema import FinalRecord
from orchestrator.store.searches import SearchRecord, asked_of_lanes, search_file
from orchestrator.store.segments import LaneKey
from orchestrator.study.owed import Chain
from orchestrator.study.studies import raise_budget
from tests.faults.learning import Ready, divided
from tests.support.generated_study import UnsyncedStorage
from tests.support.tiny_study import KEEPS, TinyStudy, another, assert_same_result, make_tiny_study
from trainables.bundles import checkpoints
from trainables.bundles.failures import SupersededError
from trainables.bundles.segment_run import SegmentRun
from trainables.bundles.states import is_over, lacking
from trainables.bundles.work import longest_finals
from trainables.bundles.workbench import Workbench
from trainables.learning.group import Group

SETTINGS = ({"lr": 0.1, "batch_size": 25, "dropout": 0.2, "non_linearities": 1}, *(
    {"lr": lr, "batch_size": 25, "momentum": 0.9} for lr in (0.1, 0.05)
))  # fmt: skip
shares = st.floats(0, 1, exclude_max=True)
DAMAGED = {
    "state": "segments/*/state-*",
    "checkpoint": "segments/*/attempt-*/*.checkpoint",
    "history": "bundles/*/*/*/final/*",
    "recipe": "segments/*/recipe.toml",
    "lease": "segments/*/lease-*.json",
    "part": "histories/*",
}
DELETED = {name: DAMAGED[name] for name in ("state", "checkpoint", "lease", "part")}


class QuickStorage(UnsyncedStorage):
    def replace(self, path: str, content: bytes) -> None:
        target = self.local(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)


@dataclass(frozen=True)
class QuickStudy(TinyStudy):
    @property
    def storage(self) -> QuickStorage:
        return QuickStorage(self.folder)


@dataclass
class Underway:
    taken: Taken
    run: SegmentRun


class SegmentMachine(RuleBasedStateMachine):
    """No model but the study that nobody disturbs."""

    images: TinyStudy

    @initialize()
    def make(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.study = quick(self.images, self.folder)
        self.storage = self.study.storage
        self.bench = Workbench(self.storage, self.study.places, torch.device("cpu"))
        names = tuple(self.study.configuration(**one).id for one in SETTINGS)
        self.search = SearchRecord(proposer="grid", partitions=(self.study.partition,), configurations=names)
        self.storage.create(search_file(self.search.id), self.search.to_toml())
        self.underway: list[Underway] = []

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            try:
                self.finish_and_compare()
            finally:
                shutil.rmtree(self.folder)

    @rule(repeats=st.sampled_from((1, 2, 3, 12)), epochs=st.integers(1, 4), one=st.booleans())
    def ask(self, repeats: int, epochs: int, one: bool) -> None:
        """More of all configurations, or of the first alone."""
        most = dict.fromkeys(self.search.configurations, (1, 1) if one else (repeats, epochs))
        most[self.search.configurations[0]] = repeats, epochs
        raise_budget(self.storage, self.search.id, most, "")

    @rule()
    def decide(self) -> None:
        machine = Machine(1, "cpu", lambda wanted: divided(self.bench, wanted))
        decided = Decided.of(self.storage)
        Deciding(self.storage, decided, self.search.id, NewsReader(self.storage), machine).decide()

    @rule()
    def take(self) -> None:
        """As a driver that has just been started."""
        taken = self.next_of(self.new_queue())
        if taken is not None:
            self.begin(taken, over=taken.over[0])

    @precondition(lambda self: self.underway)
    @rule(share=shares, steps=st.integers(1, 6))
    def advance(self, share: float, steps: int) -> None:
        one = self.underway[int(share * len(self.underway))]
        try:
            while steps and not one.run.advance(0.0):
                steps -= 1
        except SupersededError:
            steps = 1
        if steps:
            self.underway.remove(one)

    @precondition(lambda self: self.underway)
    @rule(share=shares)
    def kill(self, share: float) -> None:
        self.bury(self.underway.pop(int(share * len(self.underway))))

    @precondition(lambda self: self.underway)
    @rule(share=shares)
    def stop(self, share: float) -> None:
        self.underway.pop(int(share * len(self.underway))).run.stop()

    @precondition(lambda self: self.underway)
    @rule(share=shares)
    def steal(self, share: float) -> None:
        """By somebody who sees its heart stand still; it wakes up later, or not."""
        one = self.underway[int(share * len(self.underway))]
        current = current_lease(self.storage, one.run.segment.folder)
        self.begin(one.taken, over=current.number if current else 0)

    @precondition(lambda self: self.underway)
    @rule(share=shares)
    def run_out_of_memory(self, share: float) -> None:
        """Where it holds more than one lane, which goes on in parts then."""
        one = self.underway[int(share * len(self.underway))]
        if len(one.run.segment.lanes) == 1:
            return
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(Group, "advance", _no_memory)
            with contextlib.suppress(SupersededError):
                one.run.advance(0.0)
        self.underway.remove(one)

    @rule(kind=st.sampled_from(sorted(DAMAGED)), share=shares, cut=st.booleans(), place=shares)
    def damage(self, kind: str, share: float, cut: bool, place: float) -> None:
        paths = [path for path in sorted(self.study.folder.glob(DAMAGED[kind])) if path.stat().st_size]
        if paths:
            path = paths[int(share * len(paths))]
            content = bytearray(path.read_bytes())
            if cut:
                del content[int(place * len(content)) :]
            else:
                content[int(place * len(content))] ^= 0x40
            path.write_bytes(content)

    @rule(kind=st.sampled_from(sorted(DELETED)), share=shares)
    def delete(self, kind: str, share: float) -> None:
        paths = sorted(self.study.folder.glob(DELETED[kind]))
        if paths:
            paths[int(share * len(paths))].unlink()

    def new_queue(self) -> WorkQueue:
        compact(self.storage)
        queue = WorkQueue(self.storage, Ready(), Counts(), lambda: 1)
        decided = Decided.of(self.storage)
        assert not decided.damaged
        queue.know(decided.segments())
        queue.add(decided.segments())
        return queue

    def next_of(self, queue: WorkQueue) -> Taken | None:
        """Looked for twice: what has to be made again first is found the first time."""
        return queue.take() or queue.take()

    def begin(self, taken: Taken, over: int) -> None:
        """The first of what was taken; nobody tells the queue."""
        segment = taken.segments[0]
        if is_over(self.storage, segment, restores=taken.restores) or lacking(self.storage, segment).anything:
            return
        lease = Lease.take(self.storage, segment.folder, over, "cpu")
        assert lease is not None
        try:
            run = SegmentRun.begin(self.bench, segment, lease, keeps=KEEPS, restores=taken.restores)
        except SupersededError:
            return
        self.underway.append(Underway(taken, run))

    def bury(self, one: Underway) -> None:
        """Its process is gone: whoever looks can see that."""
        lease = one.run.lease
        path = layout.lease(lease.folder, lease.number)
        if Path(self.study.folder / path).exists():
            content = json.loads(lease._content(released=False))
            content["process"]["started"] = 1
            self.storage.replace(path, json.dumps(content).encode())

    def finish_and_compare(self) -> None:
        for one in self.underway:
            self.bury(one)
        self.decide()
        self.finish()
        undisturbed = quick(self.images, self.folder / "undisturbed")
        for pattern in ("searches/*/*.toml", "configurations/*", "segments/*/divided.toml"):
            for path in self.study.folder.glob(pattern):
                copy = undisturbed.folder / path.relative_to(self.study.folder)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, copy)
        decided = Decided.of(undisturbed.storage)
        chain = Chain()
        chain.add(decided.segments())
        bench = Workbench(undisturbed.storage, undisturbed.places, torch.device("cpu"))
        for segment in chain.with_all_before(decided.segments()):
            undisturbed.train_segment(segment, bench)
        table = read_repeats(self.storage)
        for lane, epochs in asked_of_lanes(decided.every()).items():
            expected, found = final(undisturbed, lane, epochs), final(self.study, lane, epochs)
            assert expected is not None
            if found is not None:
                assert_same_result(found, expected)
            else:
                assert_same_rows(table, lane, expected)
        lanes = [(lane, one.epochs) for one in decided.segments() for lane in one.lanes]
        assert len(lanes) == len(set(lanes)), "no lane is trained twice to the same epoch"

    def finish(self) -> None:
        """As a driver does that nobody disturbs any more."""
        queue = self.new_queue()
        queue._watch.stale_after_s = 0.0
        tries = 0
        while queue.waiting:
            taken = queue.take()
            if taken is None:
                tries += 1
                assert tries < 1000, queue.waiting
                continue
            outcome = "finished"
            for segment, over in zip(taken.segments, taken.over, strict=True):
                if is_over(self.storage, segment, restores=taken.restores):
                    continue
                lease = Lease.take(self.storage, segment.folder, over, "cpu")
                assert lease is not None
                try:
                    run = SegmentRun.begin(self.bench, segment, lease, keeps=KEEPS, restores=taken.restores)
                    assert run.advance(60.0)
                except SupersededError:
                    outcome = "superseded"
                    break
            queue.ended(taken, outcome)


def quick(images: TinyStudy, folder: Path) -> QuickStudy:
    made = another(images, folder)
    return QuickStudy(made.folder, made.data, made.cache, made.classes, made.partition, made.fingerprint)


def final(study: TinyStudy, lane: LaneKey, epochs: int) -> FinalRecord | None:
    """The longest of a lane; None where it is damaged."""
    longest = longest_finals(study.storage, lane.bundle)[lane.repeat]
    assert longest.epochs == epochs
    path = lane.bundle.final(*longest)
    with contextlib.suppress(DamagedRecordError):
        return FinalRecord.from_bytes(study.storage.read(path), path)
    return None


def assert_same_rows(table: Repeats, lane: LaneKey, expected: FinalRecord) -> None:
    """Readers have the compacted histories, which took the record in before it was damaged."""
    keys = list(zip(*(table.table[name] for name in ("partition", "configuration", "repeat")), strict=True))
    place = keys.index(tuple(lane))
    rows = slice(table.start[place], table.start[place + 1])
    assert table.loss[rows].tobytes() == expected.history.loss.tobytes()
    assert table.statistics[rows].tobytes() == expected.history.statistics.tobytes()


def _no_memory(group: Group, seconds: float) -> None:
    raise MemoryError("no memory for it")


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> TinyStudy:
    torch.set_num_threads(1)
    made = make_tiny_study(tmp_path_factory.mktemp("images"))
    for one in SETTINGS:
        made.train(made.configuration(**one), (0,), 0)
    return made


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch, images: TinyStudy) -> None:
    """Every heartbeat, every checkpoint and every look at the queue is due."""
    monkeypatch.setattr(leases, "RENEW_EVERY_S", 0.0)
    monkeypatch.setattr(checkpoints, "WRITING_SHARE", 1e9)
    monkeypatch.setattr(work_queue, "BUSY_RETRY_S", 0.0)
    monkeypatch.setattr(SegmentMachine, "images", images, raising=False)


def drive(examples: int, steps: int) -> None:
    run_state_machine_as_test(
        SegmentMachine,
        settings=settings(
            max_examples=examples, stateful_step_count=steps, deadline=None, derandomize=True, database=None,
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
        ),
    )  # fmt: skip


def test_whatever_happens_to_it_a_study_ends_in_the_same_bits() -> None:
    drive(6, 25)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_it_does_over_many_more_steps() -> None:
    drive(100, 50)
