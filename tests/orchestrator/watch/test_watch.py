"""Looking at a study again and again: what runs, how far, how fast, and how little it costs."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from orchestrator.running.pace import Pace
from orchestrator.store import layout
from orchestrator.store.record import pack
from orchestrator.store.searches import Ask, Decision, Stack, decision_file
from orchestrator.store.segments import LaneKey, Segment
from orchestrator.store.storage import LocalStorage
from orchestrator.study.studies import open_study
from orchestrator.watch import study_watch as watching
from orchestrator.watch.now import StudyNow
from orchestrator.watch.screen import StudyScreen, watch
from orchestrator.watch.study_watch import StudyWatch
from tests.support.asked import Item
from tests.support.generated_study import (
    PARTITION,
    GeneratedStudy,
    UnsyncedStorage,
    segment_of,
    write_failure,
    write_lease,
)
from trainables.bundles.work import divide


class Counting(UnsyncedStorage):
    """Remembers the calls that a look makes."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.calls: list[str] = []

    def list(self, folder: str) -> list[str]:
        self.calls.append(folder)
        return super().list(folder)

    def read(self, path: str) -> bytes:
        self.calls.append(path)
        return super().read(path)


def moment(seconds_ago: float = 0.0) -> str:
    return (datetime.now(UTC) - timedelta(seconds=seconds_ago)).isoformat(timespec="seconds")


@pytest.fixture
def half(tmp_path: Path) -> tuple[Counting, GeneratedStudy, Segment]:
    """Two configurations of four repeats, the first of which is finished; and the segment of the other."""
    study = GeneratedStudy(
        name="half", depths=((0, 0),), lrs=(1e-3,), repeats=4, epochs=5, skip=lambda c, _: c.optimiser.batch_size == 32
    )
    storage = Counting(tmp_path / "half")
    study.write(storage)
    return storage, study, segment_of(storage, study.configurations()[1], 0)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(watching.time, "monotonic", lambda: now[0])
    return now


def test_counts_and_stamp(half: tuple[Counting, GeneratedStudy, Segment]) -> None:
    storage, study, segment = half
    seen = StudyWatch(storage)
    first = seen.look()
    assert (first.repeats_done, first.repeats_asked, first.epochs_done, first.epochs_asked) == (4, 8, 20, 40)
    assert first.running == ()
    assert seen.look().stamp == first.stamp, "nothing changed"
    last = study.configurations()[1]
    storage.create(f"{segment.attempt(1)}/started.json", b"{}")
    study.write_final(storage, last, 0, 5)
    second = seen.look()
    assert (second.repeats_done, second.epochs_done) == (5, 25)
    assert second.stamp != first.stamp
    write_failure(storage, segment, "no memory")
    third = seen.look()
    assert third.stamp != second.stamp
    for repeat in (1, 2, 3):
        study.write_final(storage, last, repeat, 5)
    fourth = seen.look()
    assert (fourth.repeats_done, fourth.epochs_done) == (8, 40)
    assert fourth.stamp == StudyWatch(storage).look().stamp, "what is seen does not hang on what was seen before"
    study.ask(storage, [Item(last.id, 6, 9)])
    fifth = seen.look()
    assert (fifth.repeats_done, fifth.repeats_asked, fifth.epochs_done, fifth.epochs_asked) == (4, 10, 40, 74)
    assert fifth.stamp == StudyWatch(storage).look().stamp
    assert fifth.stamp != fourth.stamp


def test_a_finished_study_costs_a_few_calls(half: tuple[Counting, GeneratedStudy, Segment]) -> None:
    storage, study, segment = half
    for repeat in range(4):
        study.write_final(storage, study.configurations()[1], repeat, 5)
    write_lease(storage, segment, 5, updated=moment(), released=True)
    seen = StudyWatch(storage)
    seen.look()
    storage.calls = []
    seen.look()
    (search,) = seen._decided.searches
    assert storage.calls == ["searches", f"searches/{search}", "results"]


def test_segments_that_wait_or_are_done_are_not_looked_into(tmp_path: Path) -> None:
    study = GeneratedStudy(name="s", depths=((0, 0),), lrs=(1e-3, 1e-2), repeats=2, epochs=5, skip=lambda *_: True)
    storage = Counting(tmp_path / "s")
    study.write(storage)
    done, begun, *waiting = study.configurations()
    seen = StudyWatch(storage)
    for configuration in (done, begun):
        write_lease(storage, segment_of(storage, configuration, 0), 0, updated=moment())
    assert len(seen.look().running) == 2
    for repeat in range(2):
        study.write_final(storage, done, repeat, 5)
    seen.look()
    storage.calls = []
    look = seen.look()
    assert [running.configurations for running in look.running] == [(begun.id,)]
    others = {configuration.id for configuration in (done, *waiting)}
    folders = {segment_of(UnsyncedStorage(storage.root), c, 0).folder for c in (done, *waiting)}
    assert not [call for call in storage.calls if call in folders or set(call.split("/")) & others]
    assert len(storage.calls) <= 8


def test_what_comes_before_the_first_epoch_is_no_time(clock: list[float]) -> None:
    pace = Pace()
    for _ in range(30):
        assert np.isnan(pace.per_second(10)), "features are computed"
        clock[0] += 4
    assert pace.per_second(18) == pytest.approx(2)
    for _ in range(50):
        clock[0] += 4
        rate = pace.per_second(20)
    assert np.isnan(rate), "nothing for a minute"


def test_who_runs_and_how_far(half: tuple[Counting, GeneratedStudy, Segment], clock: list[float]) -> None:
    storage, study, segment = half
    seen = StudyWatch(storage)
    assert np.isnan(seen.look().epochs_per_second)
    clock[0] += 10
    write_lease(storage, segment, 3, updated=moment())
    look = seen.look()
    (running,) = look.running
    assert (running.segment, running.repeats, running.epoch, running.of) == (segment, (0, 1, 2, 3), 3, 5)
    assert (running.host, running.device) == ("worker-0", "cpu")
    assert look.epochs_done == 32
    assert look.epochs_per_second == pytest.approx(1.2)
    assert look.left.seconds == pytest.approx(8 * 0.4), "as an epoch took of those that are finished"
    storage.create(f"{segment.attempt(1)}/e4.p0.b9.checkpoint", b"torn")
    assert seen.look().running[0].epoch == 4, "a checkpoint's name tells more"
    before = seen.look().stamp
    storage.create(f"{segment.attempt(1)}/e5.p0.b9.checkpoint", b"torn")
    assert seen.look().stamp == before, "progress alone does not write a page anew"
    study.write_final(storage, study.configurations()[1], 2, 5)
    (running,) = seen.look().running
    assert running.lanes == tuple(LaneKey(PARTITION, running.configurations[0], repeat) for repeat in (0, 1, 3))
    clock[0] += 61
    assert seen.look().running == (), "a heartbeat that stands still is no sign of life"
    write_lease(storage, segment, 5, updated=moment(), released=True)
    assert seen.look().running == ()
    write_lease(storage, segment, 0, updated=moment(seconds_ago=3600), number=2)
    assert seen.look().epochs_done == 40, "who came next died before its first epoch; the checkpoints are there"


def test_leases_that_say_nothing(half: tuple[Counting, GeneratedStudy, Segment]) -> None:
    storage, _, segment = half
    write_lease(storage, segment, 3, updated=moment(seconds_ago=3600))
    assert StudyWatch(storage).look().running == (), "renewed an hour ago"
    for content in (b"", b"[]", b'{"epoch": "x"}', b'{"epoch": -1, "updated": "yesterday"}'):
        storage.replace(layout.lease(segment.folder, 2), content)
        look = StudyWatch(storage).look()
        assert (look.running, look.epochs_done) == ((), 20)


def test_decisions_made_meanwhile_are_picked_up(half: tuple[Counting, GeneratedStudy, Segment]) -> None:
    """All go on together from where the segment of each ended."""
    storage, study, segment = half
    seen = StudyWatch(storage)
    assert seen.look().epochs_asked == 40
    (search,) = seen._decided.searches
    names = tuple(c.id for c in study.configurations())
    decision = Decision(
        number=2,
        budget=1,
        reason="both go on",
        asks=(Ask(partition=PARTITION, configurations=names, repeats=(0, 1, 2, 3), epochs=15),),
        stacks=(Stack(partition=PARTITION, configurations=names, repeats=(0, 1, 2, 3), start=5, epochs=15),),
    )
    storage.create(decision_file(search, 2), decision.to_toml())
    look = seen.look()
    assert (look.repeats_done, look.repeats_asked, look.epochs_done, look.epochs_asked) == (0, 8, 20, 120)
    (stack,) = decision.segments()
    write_lease(storage, segment, 5, updated=moment(), released=True)
    for repeat in range(4):
        study.write_final(storage, study.configurations()[1], repeat, 5)
    write_lease(storage, stack, 0, updated=moment())
    look = seen.look()
    assert [(one.segment, one.epoch, one.of) for one in look.running] == [(stack, 5, 15)], "it begins at five"
    assert look.epochs_done == 40
    write_lease(storage, stack, 7, updated=moment())
    look = seen.look()
    assert look.epochs_done == 8 * 7
    nothing = Decision(number=3, budget=1, reason="enough", asks=(), stacks=())
    storage.create(decision_file(search, 3), nothing.to_toml())
    assert seen.look().stamp != look.stamp, "the page tells that nothing more was asked, too"


def test_of_a_segment_that_was_divided_its_parts_are_looked_into(
    half: tuple[Counting, GeneratedStudy, Segment],
) -> None:
    storage, _, segment = half
    seen = StudyWatch(storage)
    write_lease(storage, segment, 3, updated=moment())
    assert len(seen.look().running) == 1
    divide(storage, segment, segment.in_turn())
    first, second, *_ = segment.in_turn()
    write_lease(storage, second, 2, updated=moment())
    write_failure(storage, first, "no memory")
    for watching_now in (seen, StudyWatch(storage)):
        look = watching_now.look()
        assert [one.segment for one in look.running] == [second]
        assert look.epochs_done == 22
    storage.calls = []
    seen.look()
    assert segment.folder not in storage.calls


def test_what_runs_as_plain_values(half: tuple[Counting, GeneratedStudy, Segment]) -> None:
    storage, study, segment = half
    last, seen = study.configurations()[1], StudyNow(storage)
    write_lease(storage, segment, 0, updated=moment())
    assert seen.look()[1]["running"][0]["loss"] is None
    loss = np.array([[[0.8, 0.6, 9.0], [1.0, 0.8, 9.0]], [[0.5, 0.3, 9.0], [np.nan, 0.5, 9.0]]])
    lanes = {"repeats": [0, 1, 0], "configurations": [last.id, last.id, "another"]}
    content = pack({"group": lanes}, {"history.loss": loss, "history.statistics": np.zeros((2, 2, 3, 2, 2), np.int32)})
    storage.create(f"{segment.attempt(1)}/e1.p0.b{len(content)}.checkpoint", content)
    _, now = seen.look()
    (row,) = now["running"]
    assert row["name"] == "resnet18.tv_in1k lr 0.001 batch 32"
    assert row["loss"] == {"train": [0.7, 0.4], "valid": [0.9, None]}, "means over the lanes that are owed"
    assert (row["n"], row["epoch"], row["of"], row["repeats"], row["silent_s"]) == (2, 1, 5, [0, 1, 2, 3], 0)
    assert (now["repeats"], now["epochs"], now["hidden"]) == ([4, 8], [24, 40], 0)
    storage.create(f"{segment.attempt(1)}/e2.p0.b{len(content)}.checkpoint", content[:80])
    assert seen.look()[1]["running"][0]["loss"] is None, "a damaged checkpoint tells nothing"
    storage.create(f"{segment.attempt(1)}/e3.p0.b9.checkpoint", content)
    assert seen.look()[1]["running"][0]["loss"] is None, "nor one that is larger than its name says"


def stacked_study(folder: Path) -> tuple[UnsyncedStorage, Segment]:
    """Three configurations of two repeats that are trained together, from the beginning up to five epochs."""
    study = GeneratedStudy(name="s", depths=((0, 0),), batch_sizes=(16,), repeats=2, epochs=5, skip=lambda *_: True)
    storage = UnsyncedStorage(folder)
    study.write(storage)
    search = study.ask(storage, [Item(c.id, 2, 5) for c in study.configurations()])
    names = tuple(c.id for c in study.configurations())
    stack = Stack(partition=PARTITION, configurations=names, repeats=(0, 1), start=0, epochs=5)
    decision = Decision(number=8, budget=1, reason="together", asks=(), stacks=(stack,))
    storage.create(decision_file(search.id, 8), decision.to_toml())
    return storage, decision.segments()[0]


def test_a_stack_is_one_row(tmp_path: Path) -> None:
    storage, segment = stacked_study(tmp_path / "s")
    write_lease(storage, segment, 1, updated=moment())
    lanes = {
        "repeats": [lane.repeat for lane in segment.lanes],
        "configurations": [lane.configuration for lane in segment.lanes],
    }
    loss = np.tile([0.1, 0.2, 0.3] * 2, (3, 2, 1))
    content = pack({"group": lanes}, {"history.loss": loss, "history.statistics": np.zeros((3, 2, 6, 2, 2), np.int32)})
    storage.create(f"{segment.attempt(1)}/e2.p0.b{len(content)}.checkpoint", content)
    _, now = StudyNow(storage).look()
    (row,) = now["running"]
    assert row["name"] == "resnet18.tv_in1k lr 0.0001 batch 16 and 2 more"
    assert (row["repeats"], row["epoch"], row["of"], row["n"]) == ([0, 1], 2, 5, 6)
    assert row["loss"]["valid"][-1] == pytest.approx(0.2)
    assert now["epochs"] == [12, 30]


def test_the_screen(half: tuple[Counting, GeneratedStudy, Segment]) -> None:
    storage, _, segment = half
    write_lease(storage, segment, 2, updated=moment())
    opened = open_study(storage.root.parent, "half")
    line = StudyScreen(opened).line()
    assert line.startswith("half: 4 of 8 repeats, 28 of 40 epochs")
    assert "1 at work" in line
    stream = io.StringIO()
    looks = iter([False, False, True, True])
    watch(opened, stream, lambda: next(looks))
    assert stream.getvalue().splitlines() == [line]

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    stream = Terminal()
    looks = iter([False, False, True, True])
    watch(opened, stream, lambda: next(looks))
    shown = stream.getvalue()
    assert "at work on" in shown
    assert "resnet18.tv_in1k lr 0.001 batch 32" in shown
    assert "2/5" in shown
    assert "optimistic" in shown


def test_a_study_without_anything(tmp_path: Path) -> None:
    study = GeneratedStudy(name="new", depths=((0, 0),), lrs=(1e-3,), skip=lambda *_: True)
    storage = LocalStorage(tmp_path / "new")
    study.write(UnsyncedStorage(tmp_path / "new"))
    _, now = StudyNow(storage).look()
    assert (now["repeats"], now["running"], now["per_second"]) == ([0, 10], [], None)
    stream = io.StringIO()
    looks = iter([False, False, True, True])
    watch(open_study(tmp_path, "new"), stream, lambda: next(looks))
    assert "0 of 10 repeats" in stream.getvalue()
