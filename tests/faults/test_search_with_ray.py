"""The whole command with Ray: interrupted by SIGTERM, killed with all its processes, run again, equal to the bit."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tiny_study import assert_same_result, make_tiny_study

from orchestrator.store.schema import FinalRecord

pytestmark = [pytest.mark.ray, pytest.mark.timeout(600)]
ORCH = [sys.executable, "-c", "from orchestrator.command_line import main; main()"]


def command(data: Path, studies: Path, cache: Path) -> list[str]:
    asked = "search tiny timm:test_resnet.r160_in1k --weights none --strategy straightforward,unfreezing --unfrozen 1"
    grid = "--lr 0.01,0.02 --batch-size 4 --repeats 2 --epochs 60"
    where = ["--data", str(data), "--studies", str(studies), "--cache", str(cache)]
    return [*ORCH, *asked.split(), *grid.split(), *where]


def run(arguments: list[str], **environment: str) -> subprocess.Popen[str]:
    """In a process group of its own, so that all of it can be killed."""
    return subprocess.Popen(
        arguments,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, **environment},
        cwd=Path(__file__).resolve().parents[2],
    )


def finals(studies: Path) -> dict[str, FinalRecord]:
    paths = studies.glob("tiny/bundles/*/*/*/final/*")
    return {"/".join(p.parts[-5:]): FinalRecord.from_bytes(p.read_bytes(), str(p)) for p in paths}


def wait_for_training(process: subprocess.Popen[str], studies: Path, attempts: int) -> None:
    """Until that many attempts at bundles have begun."""
    deadline = time.monotonic() + 120
    while len(list(studies.glob("tiny/bundles/*/*/*/attempt-*/started.json"))) < attempts:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "nothing was trained within two minutes"
        time.sleep(0.05)


def test_interrupted_and_killed_it_ends_in_the_same_bits(tmp_path: Path) -> None:
    images = make_tiny_study(tmp_path / "images")
    cache, whole, broken = tmp_path / "cache", tmp_path / "whole", tmp_path / "broken"
    unbroken = run(command(images.data, whole, cache))
    out, err = unbroken.communicate()
    assert unbroken.returncode == 0, err
    assert "Dashboard:" in out
    assert (whole / "tiny" / "dashboard.html").stat().st_size > 1_000_000

    first = run(command(images.data, broken, cache))
    wait_for_training(first, broken, 1)
    first.send_signal(signal.SIGTERM)
    out, err = first.communicate()
    assert first.returncode == 143, err
    assert "the same command goes on" in " ".join(err.split())

    begun = len(list(broken.glob("tiny/bundles/*/*/*/attempt-*/started.json")))
    second = run(command(images.data, broken, cache))
    if len(finals(broken)) < 8:
        wait_for_training(second, broken, begun + 1)
    os.killpg(second.pid, signal.SIGKILL)
    second.communicate()

    last = run(command(images.data, broken, cache))
    _, err = last.communicate()
    assert last.returncode == 0, err
    expected, found = finals(whole), finals(broken)
    assert sorted(found) == sorted(expected)
    assert len(found) == 8
    for name, final in expected.items():
        assert_same_result(found[name], final)

    again = run(command(images.data, broken, cache))
    _, err = again.communicate()
    assert again.returncode == 0, err
    assert "nothing is left to do" in " ".join(err.split())
