"""Epochs of what nobody has trained yet are timed while a search trains, once, and never at its cost."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from orchestrator.planning import meanwhile
from orchestrator.planning.meanwhile import AFTER_S, THREAD, Meanwhile, epoch_times
from orchestrator.resolved import Search
from orchestrator.results.epoch_times import read_epoch_times
from tests.orchestrator.planning.test_estimate import images, searched

__all__ = ["images"]


@pytest.fixture
def search(images: Path) -> Search:
    return searched(images, writes=True)


def test_what_it_times(search: Search) -> None:
    times = epoch_times(search)
    owing = {lane.configuration for lane in search.owed_lanes()}
    assert times.keys() == owing
    deep = [times[name] for name in owing if search.asked.configurations[name].live.trains_body]
    heads = [times[name] for name in owing if not search.asked.configurations[name].live.trains_body]
    assert min(heads) > 0
    assert min(deep) > max(heads)


def test_once_and_only_where_a_search_takes_long(search: Search, monkeypatch: pytest.MonkeyPatch) -> None:
    now, calls = [0.0], []

    def measured(of: Search) -> dict[str, float]:
        calls.append(of)
        return {"a" * 12: 2.0}

    monkeypatch.setattr(meanwhile, "epoch_times", measured)
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    measuring = Meanwhile(search)
    for at, has_trained, is_missed in (
        (0.0, False, True),
        (AFTER_S + 1, True, True),
        (AFTER_S + 2, True, True),
        (2 * AFTER_S + 2, True, False),
    ):
        now[0] = at
        measuring.beat(has_trained=has_trained, is_missed=is_missed)
        assert not calls
    for _ in range(3):
        measuring.beat(has_trained=True, is_missed=True)
        _joined()
    assert calls == [search]
    assert read_epoch_times(search.study.storage) == {"a" * 12: 2.0}


def test_a_failure_costs_nothing_but_what_is_told(search: Search, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meanwhile, "epoch_times", _failing)
    monkeypatch.setattr(meanwhile, "AFTER_S", 0.0)
    failed: list[object] = []
    monkeypatch.setattr(threading, "excepthook", failed.append)
    Meanwhile(search).beat(has_trained=True, is_missed=True)
    _joined()
    assert not failed
    assert read_epoch_times(search.study.storage) == {}


def _failing(of: Search) -> dict[str, float]:
    raise MemoryError


def _joined() -> None:
    for thread in threading.enumerate():
        if thread.name == THREAD:
            thread.join()
