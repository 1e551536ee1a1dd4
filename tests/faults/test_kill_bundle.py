"""A process that trains is killed for good, again and again; the result is an unbroken run's, bit for bit."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_study import TinyStudy, assert_same_result, make_tiny_study

from orchestrator.store import layout
from trainables import attempts

SCRIPT = Path(__file__).with_name("train_until_killed.py")
EPOCHS = 5
STACKED: dict[str, Any] = {"lr": 0.3, "non_linearities": 1, "dropout": 0.4, "momentum": 0.9}
UNFROZEN: dict[str, Any] = {"unfrozen": 1, "lr": 0.02, "momentum": 0.9}
BOTH = [pytest.param(STACKED, (0, 2, 3, 9), id="stacked"), pytest.param(UNFROZEN, (0, 5), id="unfrozen")]


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> TinyStudy:
    torch.set_num_threads(1)
    return make_tiny_study(tmp_path_factory.mktemp("unbroken"))


def copied(study: TinyStudy, folder: Path, cache: Path | None = None) -> TinyStudy:
    """The study without any result, on the same images."""
    other = TinyStudy(
        folder / "study", study.data, cache or study.cache, study.classes, study.partition, study.fingerprint
    )
    for path in (layout.MANIFEST, layout.partition(study.partition)):
        other.storage.create(path, study.storage.read(path))
    return other


def process(study: TinyStudy, configuration: str, repeats: Sequence[int], pause: float) -> subprocess.Popen[str]:
    described = {
        "folder": str(study.folder),
        "data": str(study.data),
        "cache": str(study.cache),
        "classes": study.classes,
        "partition": study.partition,
        "fingerprint": study.fingerprint,
    }
    command = [json.dumps(described), configuration, json.dumps(list(repeats)), str(EPOCHS), str(pause)]
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def killed_and_restarted(
    study: TinyStudy, configuration: str, repeats: Sequence[int], seed: int, kills: int, whole_start: bool
) -> int:
    """Kill up to `kills` processes at drawn moments, then let one end; returns how many died in their work."""
    moments = random.Random(seed)
    died = 0
    for number in range(kills + 1):
        last = number == kills
        started = process(study, configuration, repeats, 0.0 if last else 0.03)
        try:
            assert started.stdout is not None
            if last:
                _, complaint = started.communicate(timeout=60)
                assert started.returncode == 0, complaint
                continue
            if not whole_start:
                assert started.stdout.readline() == "training\n", started.communicate()[1]
            time.sleep(moments.uniform(0.0, 6.0 if whole_start else 1.1))
            if started.poll() is None:
                started.send_signal(signal.SIGKILL)
                died += 1
        finally:
            started.kill()
            started.communicate()
    return died


def check(study: TinyStudy, unbroken: TinyStudy, settings: dict[str, Any], repeats: tuple[int, ...]) -> None:
    """All repeats there once, every bit as it should be, nothing half-written left that counts."""
    c = unbroken.configuration(**settings)
    if sorted(unbroken.finals(c, EPOCHS)) != sorted(repeats):
        unbroken.train(c, repeats, EPOCHS)
    expected = unbroken.finals(c, EPOCHS)
    names = study.storage.list(study.key(c).finals)
    assert sorted(names) == sorted(f"{repeat}.e{EPOCHS}" for repeat in repeats)
    found = study.finals(c, EPOCHS)
    for repeat in repeats:
        assert_same_result(found[repeat], expected[repeat])
    for checkpoint in attempts.checkpoints(study.storage, study.key(c)):
        assert attempts.newest_valid(study.storage, study.key(c), checkpoint.repeats, EPOCHS) is not None


@pytest.mark.parametrize(("settings", "repeats"), BOTH)
def test_killed_while_it_trains(
    unbroken: TinyStudy, tmp_path: Path, settings: dict[str, Any], repeats: tuple[int, ...]
) -> None:
    study = copied(unbroken, tmp_path)
    c = study.configuration(**settings)
    unbroken.configuration(**settings)
    assert killed_and_restarted(study, c.id, repeats, seed=1, kills=2, whole_start=False) > 0
    check(study, unbroken, settings, repeats)
    assert len([name for name in study.storage.list(study.key(c).folder) if layout.parse_attempt(name)]) == 3


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("settings", "repeats"), BOTH)
@pytest.mark.parametrize("seed", range(4))
def test_killed_at_many_moments(
    unbroken: TinyStudy, tmp_path: Path, settings: dict[str, Any], repeats: tuple[int, ...], seed: int
) -> None:
    """Also while it decodes images, computes features or writes the first files: the cache is its own."""
    study = copied(unbroken, tmp_path, tmp_path / "cache")
    c = study.configuration(**settings)
    unbroken.configuration(**settings)
    assert killed_and_restarted(study, c.id, repeats, seed, kills=6, whole_start=seed % 2 == 0) > 0
    check(study, unbroken, settings, repeats)
