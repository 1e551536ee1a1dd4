"""A process that trains is killed for good, again and again; the result is an unbroken run's, bit for bit."""

from __future__ import annotations

import dataclasses
import json
import random
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from orchestrator.store.layout import parse_attempt
from orchestrator.store.segments import Segment
from tests.support.checkout import ROOT
from tests.support.tiny_study import TinyStudy, another, assert_same_result, make_tiny_study
from trainables.bundles import attempts
from trainables.bundles.states import stored_states

SCRIPT = "tests.faults.train_until_killed"
HALF_WAY, EPOCHS = 3, 5
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
    "clip": 0.5,
    "average": 0.7,
}
MOVING: dict[str, Any] = {
    "head": "widths",
    "widths": (24, 8),
    "dropout": 0.25,
    "unfrozen": 1,
    "norms": "moving",
    "augmentation": "mixup",
    "average": 0.6,
    "lr": 0.02,
    "momentum": 0.9,
}


@dataclasses.dataclass(frozen=True)
class Case:
    """Configurations that are stacked, or each repeat of one in turn: up to HALF_WAY each by itself, then together."""

    settings: tuple[dict[str, Any], ...]
    repeats: tuple[int, ...]
    in_turn: bool = False

    def segments(self, study: TinyStudy) -> list[Segment]:
        names = tuple(study.configuration(**settings).id for settings in self.settings)
        first = Segment(study.partition, names, self.repeats, 0, HALF_WAY)
        then = Segment(study.partition, names, self.repeats, HALF_WAY, EPOCHS)
        return [*first.in_turn(), *then.in_turn()] if self.in_turn else [*first.alone(), then]


EVERY = [
    pytest.param(Case((STACKED, {**STACKED, "lr": 0.1}), (0, 2, 3, 9)), id="stacked"),
    pytest.param(Case((UNFROZEN,), (0, 5), in_turn=True), id="unfrozen"),
    pytest.param(Case((CHANGING,), (0, 1)), id="changing rates"),
    pytest.param(Case((MOVING,), (0, 5), in_turn=True), id="moving statistics"),
]

Trainer = Callable[..., bool]


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> TinyStudy:
    torch.set_num_threads(1)
    return make_tiny_study(tmp_path_factory.mktemp("unbroken"))


@pytest.fixture(scope="module")
def trainer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trainer]:
    """Trains segments in a process of its own; returns whether it was killed."""
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

    def train(study: TinyStudy, segments: Sequence[Segment], **order: Any) -> bool:
        where = {name: str(getattr(study, name)) for name in ("folder", "data", "cache", "partition", "fingerprint")}
        order |= {"study": {**where, "classes": study.classes}}
        order["segments"] = [dataclasses.astuple(segment) for segment in segments]
        order_to.write(json.dumps(order) + "\n")
        order_to.flush()
        answer = json.loads(answer_from.readline())
        assert answer["killed"] or answer["status"] == 0, complaints.read_text()
        return bool(answer["killed"])

    yield train
    process.stdin.close()
    process.wait()
    process.stdout.close()


def killed_and_restarted(
    trainer: Trainer,
    study: TinyStudy,
    segments: Sequence[Segment],
    moments: Sequence[float],
    *,
    from_start: bool = False,
) -> int:
    """Kill a process at each moment, then let one end; returns how many died in their work."""
    order = {"pause": 0.03, "from_start": from_start}
    died = sum(trainer(study, segments, kill_after=moment, **order) for moment in moments)
    assert not trainer(study, segments, kill_after=None, pause=0.0, from_start=from_start)
    return died


def check(study: TinyStudy, unbroken: TinyStudy, case: Case) -> None:
    """All repeats there once, every bit as it should be, the ends of the last segments kept."""
    segments = case.segments(unbroken)
    for settings in case.settings:
        c = unbroken.configuration(**settings)
        names = study.storage.list(study.key(c).finals)
        assert sorted(names) == sorted(f"{repeat}.e{n}" for repeat in case.repeats for n in (HALF_WAY, EPOCHS))
        for epochs in (HALF_WAY, EPOCHS):
            expected, found = unbroken.finals(c, epochs), study.finals(c, epochs)
            for repeat in case.repeats:
                assert_same_result(found[repeat], expected[repeat])
    for segment in segments:
        if segment.epochs == EPOCHS:
            here, there = stored_states(study.storage, segment), stored_states(unbroken.storage, segment)
            assert [state.digest for state in here] == [state.digest for state in there]
            assert len(here) == 1


def trained(unbroken: TinyStudy, case: Case) -> list[Segment]:
    """Its segments, unbroken; once for all tests."""
    segments = case.segments(unbroken)
    bench = unbroken.bench()
    for segment in segments:
        if not attempts.last_attempt(unbroken.storage, segment):
            unbroken.train_segment(segment, bench)
    return segments


@pytest.mark.parametrize("case", EVERY)
def test_killed_while_it_trains(unbroken: TinyStudy, trainer: Trainer, tmp_path: Path, case: Case) -> None:
    segments = trained(unbroken, case)
    study = another(unbroken, tmp_path)
    case.segments(study)  # their configurations
    draws = random.Random(1)
    moments = [draws.uniform(0.0, 0.35) for _ in range(6)]
    assert killed_and_restarted(trainer, study, segments, moments) > 1
    check(study, unbroken, case)
    made = [name for segment in segments for name in study.storage.list(segment.folder) if parse_attempt(name)]
    assert len(made) > len(segments)
    resumed = study.finals(study.configuration(**case.settings[0]), EPOCHS)[case.repeats[-1]].meta["attempts"]
    assert resumed == sorted(set(resumed))


@pytest.mark.slow
@pytest.mark.parametrize("case", EVERY)
@pytest.mark.parametrize("seed", range(10))
def test_killed_at_many_moments(unbroken: TinyStudy, trainer: Trainer, tmp_path: Path, case: Case, seed: int) -> None:
    """With odd seeds also while it decodes images, computes features or writes the first files, in its own cache."""
    from_start = seed % 2 == 1
    segments = trained(unbroken, case)
    study = dataclasses.replace(another(unbroken, tmp_path), cache=tmp_path / "cache")
    case.segments(study)  # their configurations
    draws = random.Random(seed)
    moments = [draws.uniform(0.0, 1.5 if from_start else 0.3) for _ in range(14)]
    assert killed_and_restarted(trainer, study, segments, moments, from_start=from_start) > 1
    check(study, unbroken, case)
