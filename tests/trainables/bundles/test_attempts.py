"""Attempts have folders of their own; the furthest whole checkpoint of any attempt counts."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from orchestrator.store.layout import BundleKey
from orchestrator.store.record import pack
from orchestrator.store.storage import LocalStorage
from trainables.bundles.attempts import Attempt, checkpoints, drop_checkpoints, newest_valid

KEY = BundleKey("p", "c", 1)


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    return LocalStorage(tmp_path)


def content(text: str) -> bytes:
    return pack({"text": text}, {})


def test_every_attempt_has_a_number_of_its_own(storage: LocalStorage) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: Attempt.begin(storage, KEY, "cpu"), range(12)))
    assert sorted(attempt.number for attempt in made) == list(range(1, 13))
    started = json.loads(storage.read(f"{KEY.attempt(3)}/started.json"))
    assert set(started) == {"started", "host", "device"}
    made[0].end("finished")
    made[0].end("failed")
    assert json.loads(storage.read(f"{KEY.attempt(made[0].number)}/ended.json"))["outcome"] == "finished"


def test_the_last_two_checkpoints_of_each_group_are_kept(storage: LocalStorage) -> None:
    attempt = Attempt.begin(storage, KEY, "cpu")
    for epoch, position in ((1, 0), (9, 8), (10, 0), (10, 16)):
        attempt.save(content(f"{epoch}"), (10, 11), epoch, position)
    attempt.save(content("other"), (12,), 1, 0)
    assert [(c.repeats, c.epoch, c.position) for c in checkpoints(storage, KEY)] == [
        ((10, 11), 10, 16),
        ((10, 11), 10, 0),
        ((12,), 1, 0),
    ]


def test_the_furthest_whole_one_of_all_attempts(storage: LocalStorage) -> None:
    first, second = (Attempt.begin(storage, KEY, "cpu") for _ in range(2))
    second.save(content("early"), (10,), 2, 0)
    first.save(content("middle"), (10,), 10, 3)
    first.save(content("late"), (10,), 10, 24)
    second.save(content("of others"), (10, 11), 99, 0)

    def newest(epochs: int = 50) -> str | None:
        found = newest_valid(storage, KEY, (10,), epochs)
        return None if found is None else found[0].rpartition("/")[2]

    assert newest() == "r10.e10.p24.checkpoint"
    assert newest(epochs=9) == "r10.e2.p0.checkpoint", "what is beyond the epochs asked says too much"
    path = f"{KEY.attempt(1)}/r10.e10.p24.checkpoint"
    whole = storage.read(path)
    for damaged in (whole[:-1], whole[:40] + b"\x00" + whole[41:], b""):
        storage.replace(path, damaged)
        assert newest() == "r10.e10.p3.checkpoint"
    storage.delete(path)
    storage.replace(f"{KEY.attempt(1)}/r10.e10.p3.checkpoint", b"torn")
    assert newest() == "r10.e2.p0.checkpoint"
    storage.delete(f"{KEY.attempt(2)}/r10.e2.p0.checkpoint")
    assert newest() is None


def test_other_files_are_no_checkpoints(storage: LocalStorage) -> None:
    attempt = Attempt.begin(storage, KEY, "cpu")
    for name in ("r1.e1.p1.checkpoint.bak", "r.e1.p1.checkpoint", "re1.p1.checkpoint", "1.e1.p1.checkpoint"):
        storage.replace(f"{KEY.attempt(attempt.number)}/{name}", b"x")
    storage.replace(f"{KEY.folder}/attempt-x/r1.e1.p1.checkpoint", b"x")
    assert checkpoints(storage, KEY) == []


def test_dropping_spares_the_one_to_keep_and_other_groups(storage: LocalStorage) -> None:
    first, second = (Attempt.begin(storage, KEY, "cpu") for _ in range(2))
    first.save(content("a"), (10,), 1, 0)
    second.save(content("b"), (10,), 1, 0)
    second.save(content("c"), (11,), 1, 0)
    first.save(content("of a longer search"), (10,), 7, 0)
    drop_checkpoints(storage, KEY, (10,), 5, f"{KEY.attempt(2)}/r10.e1.p0.checkpoint")
    assert [c.path for c in checkpoints(storage, KEY)] == [
        f"{KEY.attempt(1)}/r10.e7.p0.checkpoint",
        f"{KEY.attempt(2)}/r10.e1.p0.checkpoint",
        f"{KEY.attempt(2)}/r11.e1.p0.checkpoint",
    ]
    drop_checkpoints(storage, KEY, (10,), 7, None)
    assert [c.repeats for c in checkpoints(storage, KEY)] == [(11,)]
