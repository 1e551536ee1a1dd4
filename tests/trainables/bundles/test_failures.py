"""Failures come back as they were noted; what is none is told, and what it says does not command a terminal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from orchestrator.store.damage import collecting
from orchestrator.store.segments import Segment
from orchestrator.store.storage import LocalStorage
from trainables.bundles.failures import Kind, failures_of, note_failure

SEGMENT = Segment("p", ("c",), (0, 1), 0, 2)


def test_a_failure_comes_back(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    note_failure(storage, SEGMENT, RuntimeError("no \x1b[31mred\x07\nand more"), Kind.EXCEPTION, attempt=3, lease=2)
    (found,) = failures_of(storage, SEGMENT)
    assert (found.kind, found.cause) == ("exception", "RuntimeError: no ?[31mred?")
    assert (found.configurations, found.repeats, found.attempt, found.lease) == (("c",), (0, 1), 3, 2)


@pytest.mark.parametrize(
    "change",
    [
        {"repeats": [1e400]},
        {"repeats": 1},
        {"repeats": ["x"]},
        {"attempt": 1e400},
        {"lease": [1]},
        {"configurations": 1},
    ],
)
def test_a_failure_that_is_none_is_left_out_and_told(tmp_path: Path, change: dict[str, Any]) -> None:
    storage = LocalStorage(tmp_path)
    note_failure(storage, SEGMENT, RuntimeError("no"), Kind.EXCEPTION)
    path = SEGMENT.failure(1)
    storage.replace(path, json.dumps({**json.loads(storage.read(path)), **change}).encode())
    with collecting() as left_out:
        assert failures_of(storage, SEGMENT) == []
    assert [one.path for one in left_out.all] == [path]
