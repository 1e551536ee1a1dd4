"""Attempts have folders of their own; the furthest whole checkpoint of any attempt counts."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from orchestrator.store.record import pack
from orchestrator.store.segments import Segment
from orchestrator.store.storage import LocalStorage
from trainables.bundles.attempts import Attempt, checkpoints, drop_checkpoints, newest_valid

SEGMENT = Segment("p", ("c",), (10, 11), 0, 50)
OTHER = Segment("p", ("c",), (10, 11), 0, 51)


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    return LocalStorage(tmp_path)


def content(text: str) -> bytes:
    return pack({"text": text}, {})


def test_every_attempt_has_a_number_of_its_own(storage: LocalStorage) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: Attempt.begin(storage, SEGMENT, "cpu"), range(12)))
    assert sorted(attempt.number for attempt in made) == list(range(1, 13))
    started = json.loads(storage.read(f"{SEGMENT.attempt(3)}/started.json"))
    assert set(started) == {"started", "host", "device"}
    made[0].end("finished")
    made[0].end("failed")
    assert json.loads(storage.read(f"{SEGMENT.attempt(made[0].number)}/ended.json"))["outcome"] == "finished"


def test_the_last_two_checkpoints_of_an_attempt_are_kept(storage: LocalStorage) -> None:
    attempt, other = Attempt.begin(storage, SEGMENT, "cpu"), Attempt.begin(storage, SEGMENT, "cpu")
    other.save(content("of another attempt"), 1, 0)
    for epoch, position in ((1, 0), (9, 8), (10, 0), (10, 16)):
        attempt.save(content(f"{epoch}"), epoch, position)
    assert [(c.epoch, c.position) for c in checkpoints(storage, SEGMENT)] == [(10, 16), (10, 0), (1, 0)]


def test_the_furthest_whole_one_of_all_attempts(storage: LocalStorage) -> None:
    first, second = (Attempt.begin(storage, SEGMENT, "cpu") for _ in range(2))
    second.save(content("early"), 2, 0)
    first.save(content("middle"), 10, 3)
    first.save(content("late"), 10, 24)
    Attempt.begin(storage, OTHER, "cpu").save(content("of another segment"), 40, 0)

    def newest() -> str | None:
        found = newest_valid(storage, SEGMENT)
        return None if found is None else re.sub(r"\.b\d+", "", found[0].rpartition("/")[2])

    assert newest() == "e10.p24.checkpoint"
    path, middle, early = (one.path for one in checkpoints(storage, SEGMENT))
    whole = storage.read(path)
    for damaged in (whole[:-1], whole[:40] + b"\x00" + whole[41:], b"", whole + b"\x00"):
        storage.replace(path, damaged)
        assert newest() == "e10.p3.checkpoint"
    storage.delete(path)
    storage.replace(middle, b"torn")
    assert newest() == "e2.p0.checkpoint"
    storage.delete(early)
    assert newest() is None


def test_other_files_are_no_checkpoints(storage: LocalStorage) -> None:
    attempt = Attempt.begin(storage, SEGMENT, "cpu")
    for name in ("e1.p1.b1.checkpoint.bak", "e.p1.b1.checkpoint", "e1.checkpoint", "e1.p1.checkpoint"):
        storage.replace(f"{SEGMENT.attempt(attempt.number)}/{name}", b"x")
    storage.replace(f"{SEGMENT.folder}/attempt-x/e1.p1.b1.checkpoint", b"x")
    assert checkpoints(storage, SEGMENT) == []


def test_those_of_a_segment_are_dropped_together(storage: LocalStorage) -> None:
    for segment in (SEGMENT, SEGMENT, OTHER):
        Attempt.begin(storage, segment, "cpu").save(content("a"), 1, 0)
    drop_checkpoints(storage, SEGMENT)
    assert checkpoints(storage, SEGMENT) == []
    assert len(checkpoints(storage, OTHER)) == 1
