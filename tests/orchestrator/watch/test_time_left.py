"""Time left of a made-up study: heads whose epochs are fast, and trained backbones whose epochs are slow."""

from __future__ import annotations

import json
import re
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from orchestrator.results.decided import Decided
from orchestrator.results.epoch_times import add_epoch_times, read_epoch_times
from orchestrator.running.monitor import Monitor, Training
from orchestrator.running.progress import Display
from orchestrator.running.time_left import LONG_EPOCHS, READ_EVERY_S, TimeLeft
from orchestrator.store.layout import EPOCH_TIMES, BundleKey, ConfigurationKey, lease
from orchestrator.store.schema import FinalRecord
from orchestrator.store.segments import LaneKey, Segment
from orchestrator.watch.now import StudyNow
from orchestrator.watch.study_watch import StudyWatch
from search_spaces.configuration import Configuration
from tests.support.generated_study import PARTITION, GeneratedStudy, UnsyncedStorage
from trainables.bundles.work import longest_finals

WORKERS = 2
EPOCHS = 20
HEAD, SHALLOW, DEEP = (0, 0), (0, 2), (0, 4)


def cost(c: Configuration) -> float:
    """Seconds of an epoch of one repeat; heads with small batches take more steps."""
    if not c.live.trains_body:
        return 0.8 / c.optimiser.batch_size
    return {2: 5.0, 4: 9.0}[c.adaptation.unfrozen]


class Timed(GeneratedStudy):
    def final(self, configuration: Configuration, repeat: int, epochs: int) -> FinalRecord:
        record = super().final(configuration, repeat, epochs)
        record.meta["seconds"] = cost(configuration) * epochs
        return record


class Played:
    """A search as two workers take it from its decision, one segment after the other."""

    def __init__(self, folder: Path, **changes: object) -> None:
        self.study = Timed("played", depths=(HEAD, SHALLOW, DEEP), repeats=4, epochs=EPOCHS, in_turn=True)
        self.study = replace(self.study, skip=lambda *_: True, **changes)  # type: ignore[arg-type]
        self.storage = UnsyncedStorage(folder / "played")
        self.study.write(self.storage)
        self.known = {c.id: c for c in self.study.configurations()}
        free = [0.0] * WORKERS
        self.times: dict[Segment, tuple[float, float]] = {}
        for segment in Decided.of(self.storage).segments():
            worker = free.index(min(free))
            began, each = free[worker], cost(self.known[segment.configurations[0]]) * len(segment.lanes)
            free[worker] += each * segment.epochs
            self.times[segment] = began, each
        self.end = max(free)
        self._done: set[Segment] = set()

    def at(self, now: float) -> None:
        """Leave what there is at that time."""
        for segment, (began, each) in self.times.items():
            if now < began or segment in self._done:
                continue
            epoch = min(segment.epochs, int((now - began) / each))
            if epoch == segment.epochs:
                self._done.add(segment)
                for one in segment.lanes:
                    self.study.write_final(self.storage, self.known[one.configuration], one.repeat, segment.epochs)
            content = {"beat": int(now), "released": segment in self._done, "epoch": epoch, "of": segment.epochs}
            content |= {"owner": "driver", "host": "here", "device": "cpu"}
            content |= {"updated": datetime.now(UTC).isoformat(timespec="seconds")}
            self.storage.replace(lease(segment.folder, 1), json.dumps(content).encode())

    def monitor(self) -> Monitor:
        keys = [ConfigurationKey(PARTITION, name) for name in self.known]
        searches = list(Decided.of(self.storage).searches)
        return Monitor(Training("played", self.storage, self.known, searches, keys), Display(), lambda: None)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_after_a_fifth_of_the_work_it_is_right_everywhere(tmp_path: Path, clock: list[float]) -> None:
    """Heads are done after two hundredths of it, and deeper networks have not begun by then."""
    played = Played(tmp_path)
    watch, monitor, page = StudyWatch(played.storage), played.monitor(), StudyNow(played.storage)
    fifth, step = played.end / 5, played.end / 100
    seen = 0
    while (now := clock[0] + step) < played.end - step:
        clock[0] = now
        played.at(now)
        look, snapshot, (_, told) = watch.look(), monitor.snapshot(1.0, 0, ""), page.look()
        if now < fifth:
            continue
        seen += 1
        for left in (look.left, snapshot.left):
            assert left.epochs == 0
            assert left.share is not None
            assert left.seconds == pytest.approx(played.end - now, rel=0.3)
            assert left.share == pytest.approx(now / played.end, abs=0.1)
        assert re.fullmatch(r"about \d.* left", told["left"])
        assert snapshot.left.words in snapshot.line()
    assert seen > 70
    clock[0] = played.end
    played.at(played.end + 1)
    assert watch.look().left.words == monitor.snapshot(1.0, 0, "").left.words == ""


def test_by_the_pace_of_heads_it_would_be_a_hundred_times_too_short(tmp_path: Path, clock: list[float]) -> None:
    """What one alone knows is not told of others: not before the first epochs of a trained backbone were seen."""
    played = Played(tmp_path)
    heads = sum(cost(c) for c in played.known.values() if not c.live.trains_body) * EPOCHS * 4
    clock[0] = heads / WORKERS
    played.at(clock[0])
    watch = StudyWatch(played.storage)
    left = watch.look().left
    deep = [c for c in played.known.values() if c.live.trains_body]
    assert left.epochs == len(deep) * EPOCHS * 4
    assert left.share is None
    assert "epochs are of networks not timed yet" in left.words


def test_a_linear_probe_says_nothing_of_a_head_with_more_layers(tmp_path: Path, clock: list[float]) -> None:
    played = Played(tmp_path, depths=(HEAD, (1, 0)), lrs=(1e-3,))
    probes = [c for c in played.known.values() if not c.head.non_linearities]
    for repeat in range(4):
        played.study.write_final(played.storage, probes[0], repeat, EPOCHS)
    left = StudyWatch(played.storage).look().left
    assert left.epochs == (len(played.known) - len(probes)) * EPOCHS * 4
    assert left.share is None


def test_a_worker_that_trains_long_alone_is_waited_for(tmp_path: Path, clock: list[float]) -> None:
    """One segment is no work for two."""
    played = Played(tmp_path, depths=(HEAD,), lrs=(1e-3,), batch_sizes=(16,), in_turn=False)
    (segment,) = played.times
    seen = TimeLeft(played.storage)
    asked = dict.fromkeys(segment.lanes, EPOCHS)
    for epoch in range(6):
        clock[0] = 10.0 * epoch
        left = seen.look(
            asked, dict.fromkeys(segment.lanes, epoch), {}, [segment], [(segment, epoch), (segment, epoch)]
        )
    assert left.seconds == pytest.approx(15 * 10.0)
    assert left.share == pytest.approx(5 / 20)


def test_what_is_seen_at_work_counts_before_results(tmp_path: Path, clock: list[float]) -> None:
    """Another machine, or narrower stacks, may have taken longer."""
    played = Played(tmp_path, depths=(HEAD,), lrs=(1e-3,), batch_sizes=(16,))
    (c,) = played.known.values()
    first, *_ = played.times
    played.study.write_final(played.storage, c, 3, EPOCHS)
    final = longest_finals(played.storage, BundleKey(PARTITION, c.id, 0))[3]
    lanes = {lane: EPOCHS for segment in played.times for lane in segment.lanes}
    seen, finals = TimeLeft(played.storage), {LaneKey(PARTITION, c.id, 3): final}
    for epoch in range(LONG_EPOCHS + 2):
        clock[0] = 10.0 * epoch
        left = seen.look(lanes, {**dict.fromkeys(finals, EPOCHS), first.lanes[0]: epoch}, finals, [], [(first, epoch)])
        if not epoch:
            assert left.seconds == pytest.approx(3 * EPOCHS * cost(c))
    assert left.seconds == pytest.approx((2 * EPOCHS + max(0, EPOCHS - epoch)) * 10.0)


def test_without_workers_nobody_knows_how_long_it_takes(tmp_path: Path, clock: list[float]) -> None:
    played = Played(tmp_path, depths=(HEAD,), batch_sizes=(16,))
    played.study.write_final(played.storage, next(iter(played.known.values())), 0, EPOCHS)
    left = StudyWatch(played.storage).look().left
    assert (left.seconds, left.epochs, left.words) == (None, 0, "")
    assert left.share == pytest.approx(1 / 12)


def test_what_batches_cost_is_kept_apart(tmp_path: Path, clock: list[float]) -> None:
    """The share of what is done says what was thought of the rest."""
    played = Played(tmp_path, depths=(HEAD,), lrs=(1e-3,))
    small, large = sorted(played.known.values(), key=lambda c: c.optimiser.batch_size)
    played.study.write_final(played.storage, small, 0, EPOCHS)
    first = StudyWatch(played.storage).look().left
    assert first.share == pytest.approx(1 / 8), "of the other size nothing is known but this"
    played.study.write_final(played.storage, large, 0, EPOCHS)
    played.study.write_final(played.storage, large, 1, EPOCHS)
    second = StudyWatch(played.storage).look().left
    assert second.share == pytest.approx((cost(small) + 2 * cost(large)) / (4 * cost(small) + 4 * cost(large)))


def test_what_was_timed_beforehand_is_told_before_anybody_trains_it(tmp_path: Path, clock: list[float]) -> None:
    """Everything takes twice as long as it was timed, which the heads have shown."""
    played = Played(tmp_path)
    heads = sum(cost(c) for c in played.known.values() if not c.live.trains_body) * EPOCHS * 4
    clock[0] = heads / WORKERS - 1
    played.at(clock[0])
    monitor = played.monitor()
    assert not monitor.misses_times, "nobody has looked yet"
    assert monitor.snapshot(1.0, 0, "").left.epochs
    assert monitor.misses_times
    add_epoch_times(played.storage, {name: cost(c) / 2 for name, c in played.known.items()})
    watch = StudyWatch(played.storage)
    clock[0] += READ_EVERY_S
    played.at(clock[0])
    left = monitor.snapshot(1.0, 0, "").left
    assert not monitor.misses_times
    assert left.epochs == 0
    assert left.seconds == pytest.approx(played.end - clock[0], rel=0.1)
    assert watch.look().left.seconds == pytest.approx(left.seconds, rel=0.1)


def test_times_that_cannot_be_read_are_no_times(tmp_path: Path, clock: list[float]) -> None:
    played = Played(tmp_path, depths=(HEAD, SHALLOW))
    add_epoch_times(played.storage, dict.fromkeys(played.known, 1.0))
    played.storage.replace(EPOCH_TIMES, b'{"seconds": {"')
    assert read_epoch_times(played.storage) == {}
    add_epoch_times(played.storage, {"a" * 12: 2.0})
    assert read_epoch_times(played.storage) == {"a" * 12: 2.0}
