"""Looking at a study again and again: what runs, how far, how fast, and how little it costs."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from orchestrator.running.pace import Pace
from orchestrator.store.layout import BundleKey
from orchestrator.store.record import pack
from orchestrator.store.schema import Recipe, RequestItem
from orchestrator.store.storage import LocalStorage
from orchestrator.study.studies import open_study
from orchestrator.watch import study_watch as watching
from orchestrator.watch.now import StudyNow
from orchestrator.watch.screen import StudyScreen, watch
from orchestrator.watch.study_watch import StudyWatch
from tests.support.generated_study import PARTITION, GeneratedStudy, UnsyncedStorage, write_failure, write_lease


class Counting(UnsyncedStorage):
    """Counts the calls that a look makes."""

    calls = 0

    def list(self, folder: str) -> list[str]:
        self.calls += 1
        return super().list(folder)

    def read(self, path: str) -> bytes:
        self.calls += 1
        return super().read(path)


def moment(seconds_ago: float = 0.0) -> str:
    return (datetime.now(UTC) - timedelta(seconds=seconds_ago)).isoformat(timespec="seconds")


@pytest.fixture
def half(tmp_path: Path) -> tuple[Counting, GeneratedStudy]:
    """Two configurations of four repeats, the first of which is finished."""
    study = GeneratedStudy(
        name="half", depths=((0, 0),), lrs=(1e-3,), repeats=4, epochs=5, skip=lambda c, _: c.optimiser.batch_size == 32
    )
    storage = Counting(tmp_path / "half")
    study.write(storage)
    return storage, study


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(watching.time, "monotonic", lambda: now[0])
    return now


def test_counts_and_stamp(half: tuple[Counting, GeneratedStudy]) -> None:
    storage, study = half
    seen = StudyWatch(storage)
    first = seen.look()
    assert (first.repeats_done, first.repeats_asked, first.epochs_done, first.epochs_asked) == (4, 8, 20, 40)
    assert first.running == ()
    assert seen.look().stamp == first.stamp, "nothing changed"
    last = study.configurations()[1]
    study.write_final(storage, last, 0, 5)
    second = seen.look()
    assert (second.repeats_done, second.epochs_done) == (5, 25)
    assert second.stamp != first.stamp
    write_failure(storage, last, [1], "no memory")
    third = seen.look()
    assert third.stamp != second.stamp
    for repeat in (1, 2, 3):
        study.write_final(storage, last, repeat, 5)
    fourth = seen.look()
    assert (fourth.repeats_done, fourth.epochs_done) == (8, 40)
    assert fourth.stamp == StudyWatch(storage).look().stamp, "what is seen does not hang on what was seen before"
    study.write_request(storage, [RequestItem(configuration=last.id, repeats=6, epochs=9)])
    fifth = seen.look()
    assert (fifth.repeats_done, fifth.repeats_asked, fifth.epochs_done, fifth.epochs_asked) == (4, 10, 40, 74)


def test_a_finished_study_costs_a_few_calls(half: tuple[Counting, GeneratedStudy]) -> None:
    storage, study = half
    for repeat in range(4):
        study.write_final(storage, study.configurations()[1], repeat, 5)
    seen = StudyWatch(storage)
    seen.look()
    storage.calls = 0
    seen.look()
    assert storage.calls <= 4


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


def test_who_runs_and_how_far(half: tuple[Counting, GeneratedStudy], clock: list[float]) -> None:
    storage, study = half
    last, seen = study.configurations()[1], StudyWatch(storage)
    assert np.isnan(seen.look().epochs_per_second)
    clock[0] += 10
    write_lease(storage, last, {0: 3, 1: 2}, 5, updated=moment(), number=1)
    look = seen.look()
    (running,) = look.running
    assert dict(running.epochs) == {0: 3, 1: 2, 2: 0, 3: 0}
    assert (running.asked, running.host, running.device) == (5, "worker-0", "cpu")
    assert look.epochs_done == 25
    assert look.epochs_per_second == pytest.approx(0.5)
    assert look.seconds_left == pytest.approx(30)
    key = BundleKey.of_repeat(PARTITION, last.id, 0)
    storage.create(f"{key.attempt(1)}/r0_1.e4.p0.checkpoint", b"torn")
    assert dict(seen.look().running[0].epochs) == {0: 4, 1: 4, 2: 0, 3: 0}, "a checkpoint's name tells more"
    before = seen.look().stamp
    storage.create(f"{key.attempt(1)}/r0_1.e5.p0.checkpoint", b"torn")
    assert seen.look().stamp == before, "progress alone does not write a page anew"
    clock[0] += 61
    assert seen.look().running == (), "a heartbeat that stands still is no sign of life"
    write_lease(storage, last, {0: 5}, 5, updated=moment(), number=1, released=True)
    assert seen.look().running == ()
    write_lease(storage, last, {}, 5, updated=moment(seconds_ago=3600), number=2)
    assert seen.look().epochs_done == 30, "who came next died before its first epoch; the checkpoints are there"


def test_leases_that_say_nothing(half: tuple[Counting, GeneratedStudy]) -> None:
    storage, study = half
    last = study.configurations()[1]
    write_lease(storage, last, {0: 3}, 5, updated=moment(seconds_ago=3600), number=1)
    assert StudyWatch(storage).look().running == (), "renewed an hour ago"
    key = BundleKey.of_repeat(PARTITION, last.id, 0)
    for content in (b"", b"[]", b'{"done": 7}', b'{"done": {"x": "y", "0": -1}, "updated": "yesterday"}'):
        storage.replace(key.lease(2), content)
        assert StudyWatch(storage).look().running == ()


def test_what_runs_as_plain_values(half: tuple[Counting, GeneratedStudy]) -> None:
    storage, study = half
    last, seen = study.configurations()[1], StudyNow(storage)
    write_lease(storage, last, {0: 2, 1: 2}, 5, updated=moment(), number=1)
    assert seen.look()[1]["running"][0]["loss"] is None
    key = BundleKey.of_repeat(PARTITION, last.id, 0)
    loss = np.array([[[0.8, 0.6, 9.0], [1.0, 0.8, 9.0]], [[0.5, 0.3, 9.0], [np.nan, 0.5, 9.0]]])
    lanes = {"repeats": [0, 1, 0], "configurations": [last.id, last.id, "another"]}
    content = pack({"group": lanes}, {"history.loss": loss, "history.statistics": np.zeros((2, 2, 3, 2, 2), np.int32)})
    storage.create(f"{key.attempt(1)}/r0_1.e1.p0.checkpoint", content)
    _, now = seen.look()
    (row,) = now["running"]
    assert row["name"] == "resnet18.tv_in1k lr 0.001 batch 32"
    assert row["loss"] == {"train": [0.7, 0.4], "valid": [0.9, None]}, "means over this configuration's lanes"
    assert (row["n"], row["epoch"], row["repeats"], row["silent_s"]) == (2, [0, 2], [0, 1, 2, 3], 0)
    assert (now["repeats"], now["epochs"], now["hidden"]) == ([4, 8], [24, 40], 0)
    storage.create(f"{key.attempt(1)}/r0_1.e2.p0.checkpoint", content[:80])
    assert seen.look()[1]["running"][0]["loss"] is None, "a damaged checkpoint tells nothing"


def test_bundles_that_are_trained_stacked(tmp_path: Path) -> None:
    study = GeneratedStudy(name="s", depths=((0, 0),), batch_sizes=(16,), repeats=2, epochs=5, skip=lambda *_: True)
    storage = UnsyncedStorage(tmp_path / "s")
    study.write(storage)
    ids = [configuration.id for configuration in study.configurations()]
    keys = [BundleKey(PARTITION, identity, 0) for identity in ids]
    recipe = Recipe(
        device="cpu", device_name="", stacked=True, threads=1, scoring_batch=8, with_bundles=tuple(map(str, keys))
    )
    for configuration, key in zip(study.configurations(), keys, strict=True):
        storage.create(key.recipe, recipe.to_toml())
        write_lease(storage, configuration, {0: 1, 1: 1}, 5, updated=moment(), number=1)
    lanes = {"repeats": [0, 1] * 3, "configurations": [identity for identity in ids for _ in range(2)]}
    loss = np.tile(np.repeat([0.1, 0.2, 0.3], 2), (3, 2, 1))
    content = pack({"group": lanes}, {"history.loss": loss, "history.statistics": np.zeros((3, 2, 6, 2, 2), np.int32)})
    storage.create(f"{keys[0].attempt(1)}/r0_1.e2.p0.checkpoint", content)
    _, now = StudyNow(storage).look()
    assert [row["epoch"] for row in now["running"]] == [[2, 2]] * 3, "one checkpoint tells of all"
    assert [row["loss"]["valid"][-1] for row in now["running"]] == [0.1, 0.2, 0.3]
    assert now["epochs"] == [12, 30]


def test_the_screen(half: tuple[Counting, GeneratedStudy]) -> None:
    storage, study = half
    write_lease(storage, study.configurations()[1], {0: 2}, 5, updated=moment(), number=1)
    opened = open_study(storage.root.parent, "half")
    line = StudyScreen(opened).line()
    assert line.startswith("half: 4 of 8 repeats, 22 of 40 epochs")
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
    assert "0–2/5" in shown
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
