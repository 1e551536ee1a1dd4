"""The whole command with Ray on a study in an S3 bucket: killed with all its processes, run again, equal to the bit."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from orchestrator.store.open import open_storage
from orchestrator.store.schema import FinalRecord
from orchestrator.store.storage import LocalStorage, Storage
from tests.faults.commands import run
from tests.faults.searches import ASKED
from tests.support.object_server import new_bucket, object_server
from tests.support.tiny_study import assert_same_result, make_tiny_study
from tests.support.waiting import wait_until

GRID = "--lr 0.01,0.02 --batch-size 4 --repeats 2 --epochs 60"
pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(3600)]


def asked(data: Path, studies: Path | str, cache: Path) -> list[str]:
    where = ["--data", str(data), "--studies", str(studies), "--cache", str(cache)]
    return ["search", *ASKED.split(), *GRID.split(), *where]


def below(storage: Storage, folder: str, depth: int) -> list[str]:
    """Paths so many levels below a folder."""
    inside = [f"{folder}/{name}" for name in storage.list(folder)]
    return inside if depth == 1 else [path for name in inside for path in below(storage, name, depth - 1)]


def attempts(storage: Storage) -> int:
    return sum("/attempt-" in path for path in below(storage, "segments", 2))


def finals(storage: Storage) -> dict[str, FinalRecord]:
    paths = [path for path in below(storage, "bundles", 5) if "/final/" in path]
    return {path: FinalRecord.from_bytes(storage.read(path), path) for path in paths}


def test_killed_and_run_again_by_two_it_ends_in_the_same_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = make_tiny_study(tmp_path / "images")
    with object_server() as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        place = f"s3://{new_bucket(endpoint)}/studies"
        storage = open_storage(f"{place}/tiny")
        arguments = asked(images.data, place, tmp_path / "cache")
        first = run(*arguments)
        wait_until(lambda: attempts(storage) or first.poll() is not None)
        assert first.poll() is None, first.communicate()
        os.killpg(first.pid, signal.SIGKILL)
        first.communicate()
        assert len(finals(storage)) < 8, "it had finished before it was killed"

        began = time.monotonic()
        two = [run(*arguments), run(*arguments)]
        for driver in two:
            out, err = driver.communicate()
            assert driver.returncode == 0, err
            assert f"Dashboard: {place}/tiny/dashboard.html" in out
        found = finals(storage)
        print(f"{time.monotonic() - began:.0f} s, {attempts(storage)} attempts")
        assert len(storage.read("dashboard.html")) > 1_000_000

    here = tmp_path / "whole"
    whole = run(*asked(images.data, here, tmp_path / "cache"))
    _, err = whole.communicate()
    assert whole.returncode == 0, err
    expected = finals(LocalStorage(here / "tiny"))
    assert sorted(found) == sorted(expected)
    assert len(found) == 8
    for name, final in expected.items():
        assert_same_result(found[name], final)
