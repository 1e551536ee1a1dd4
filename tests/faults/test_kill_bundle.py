"""A process that trains is killed for good, again and again; the result is an unbroken run's, bit for bit."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from orchestrator.store import layout
from tests.support.checkout import ROOT
from tests.support.tiny_study import TinyStudy, assert_same_result, make_tiny_study
from trainables.bundles import attempts

SCRIPT = "tests.faults.train_until_killed"
EPOCHS = 5
STACKED: dict[str, Any] = {"lr": 0.3, "non_linearities": 1, "dropout": 0.4, "momentum": 0.9}
UNFROZEN: dict[str, Any] = {"unfrozen": 1, "lr": 0.02, "momentum": 0.9}
CHANGING: dict[str, Any] = {
    "lr": 0.02,
    "optimiser": "adamw",
    "loss.name": "smoothed",
    "schedule": "cosine",
    "schedule.length": 8,
    "ending": "patience",
    "ending.patience": EPOCHS,
}
MOVING: dict[str, Any] = {
    "head": "widths",
    "widths": (24, 8),
    "dropout": 0.25,
    "unfrozen": 1,
    "norms": "moving",
    "augmentation": "mixup",
    "lr": 0.02,
    "momentum": 0.9,
}
EVERY = [
    pytest.param(STACKED, (0, 2, 3, 9), id="stacked"),
    pytest.param(UNFROZEN, (0, 5), id="unfrozen"),
    pytest.param(CHANGING, (0, 1), id="changing rates"),
    pytest.param(MOVING, (0, 5), id="moving statistics"),
]

Trainer = Callable[..., bool]


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> TinyStudy:
    torch.set_num_threads(1)
    return make_tiny_study(tmp_path_factory.mktemp("unbroken"))


@pytest.fixture(scope="module")
def trainer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trainer]:
    """Trains a bundle in a process of its own; returns whether it was killed."""
    complaints = tmp_path_factory.mktemp("trainer") / "stderr"
    with complaints.open("w") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", SCRIPT],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )
    assert process.stdin is not None
    assert process.stdout is not None
    order_to, answer_from = process.stdin, process.stdout
    assert answer_from.readline(), complaints.read_text()

    def train(study: TinyStudy, configuration: str, repeats: tuple[int, ...], **order: Any) -> bool:
        where = {name: str(getattr(study, name)) for name in ("folder", "data", "cache", "partition", "fingerprint")}
        order |= {"study": {**where, "classes": study.classes}, "configuration": configuration}
        order_to.write(json.dumps({**order, "repeats": repeats, "epochs": EPOCHS}) + "\n")
        order_to.flush()
        answer = json.loads(answer_from.readline())
        assert answer["killed"] or answer["status"] == 0, complaints.read_text()
        return bool(answer["killed"])

    yield train
    process.stdin.close()
    process.wait()
    process.stdout.close()


def copied(study: TinyStudy, folder: Path, cache: Path | None = None) -> TinyStudy:
    """The study without any result, on the same images."""
    other = TinyStudy(
        folder / "study", study.data, cache or study.cache, study.classes, study.partition, study.fingerprint
    )
    for path in (layout.MANIFEST, layout.partition(study.partition)):
        other.storage.create(path, study.storage.read(path))
    return other


def killed_and_restarted(
    trainer: Trainer,
    study: TinyStudy,
    configuration: str,
    repeats: tuple[int, ...],
    moments: list[float],
    *,
    from_start: bool = False,
) -> int:
    """Kill a process at each moment, then let one end; returns how many died in their work."""
    order = {"pause": 0.03, "from_start": from_start}
    died = sum(trainer(study, configuration, repeats, kill_after=moment, **order) for moment in moments)
    assert not trainer(study, configuration, repeats, kill_after=None, pause=0.0, from_start=from_start)
    return died


def check(study: TinyStudy, unbroken: TinyStudy, settings: dict[str, Any], repeats: tuple[int, ...]) -> None:
    """All repeats there once, every bit as it should be, nothing half-written left that counts."""
    c = unbroken.configuration(**settings)
    if not unbroken.finals(c, EPOCHS):
        unbroken.train(c, repeats, EPOCHS)
    expected, found = unbroken.finals(c, EPOCHS), study.finals(c, EPOCHS)
    names = study.storage.list(study.key(c).finals)
    assert sorted(names) == sorted(f"{repeat}.e{EPOCHS}" for repeat in repeats)
    for repeat in repeats:
        assert_same_result(found[repeat], expected[repeat])
    kept = attempts.checkpoints(study.storage, study.key(c))
    assert kept, "the last checkpoints wait for more epochs"
    for checkpoint in kept:
        newest = attempts.newest_valid(study.storage, study.key(c), checkpoint.repeats, EPOCHS)
        assert newest is not None
        assert checkpoint.epoch == EPOCHS, "those on the way are gone"


@pytest.mark.parametrize(("settings", "repeats"), EVERY)
def test_killed_while_it_trains(
    unbroken: TinyStudy, trainer: Trainer, tmp_path: Path, settings: dict[str, Any], repeats: tuple[int, ...]
) -> None:
    study = copied(unbroken, tmp_path)
    c = study.configuration(**settings)
    draws = random.Random(1)
    moments = [draws.uniform(0.0, 0.35) for _ in range(5)]
    assert killed_and_restarted(trainer, study, c.id, repeats, moments) > 1
    check(study, unbroken, settings, repeats)
    assert len([name for name in study.storage.list(study.key(c).folder) if layout.parse_attempt(name)]) >= 3
    resumed = study.finals(c, EPOCHS)[repeats[-1]].meta["attempts"]
    assert resumed == sorted(set(resumed))


@pytest.mark.slow
@pytest.mark.parametrize(("settings", "repeats"), EVERY)
@pytest.mark.parametrize("seed", range(10))
def test_killed_at_many_moments(
    unbroken: TinyStudy,
    trainer: Trainer,
    tmp_path: Path,
    settings: dict[str, Any],
    repeats: tuple[int, ...],
    seed: int,
) -> None:
    """With odd seeds also while it decodes images, computes features or writes the first files, in its own cache."""
    from_start = seed % 2 == 1
    study = copied(unbroken, tmp_path, tmp_path / "cache")
    c = study.configuration(**settings)
    draws = random.Random(seed)
    moments = [draws.uniform(0.0, 1.5 if from_start else 0.3) for _ in range(12)]
    assert killed_and_restarted(trainer, study, c.id, repeats, moments, from_start=from_start) > 1
    check(study, unbroken, settings, repeats)
