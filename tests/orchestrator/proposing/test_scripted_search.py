"""A search that decides what to train next, through Ray: killed at every step, with three drivers, in any place.

Its proposer follows `tests/support/script.toml`: two heads, two networks at a new depth, more epochs of one of four
stacked lanes, more repeats.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

from orchestrator.proposing.checking import check
from orchestrator.results.decided import Decided
from orchestrator.results.histories import list_finals
from orchestrator.store.open import open_storage
from orchestrator.store.schema import FinalRecord
from orchestrator.store.searches import Decision
from orchestrator.store.segments import SEGMENTS
from orchestrator.store.storage import Storage
from search_spaces.proposers import PROPOSERS
from tests.support.checkout import ROOT
from tests.support.object_server import new_bucket, object_server
from tests.support.scripted import SCRIPTED, register
from tests.support.tiny_study import assert_same_result, make_tiny_study
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.ray, pytest.mark.timeout(3600)]

SCRIPT = ROOT / "tests" / "support" / "script.toml"
PROGRAM = f"from {register.__module__} import register; register(); from orchestrator.command_line import main; main()"
DRIVE = ROOT / "tests" / "support" / "like_a_drive"
DECISIONS, FINALS = 4, 8 + 2 + 1 + 2
PATIENCE_S = 1200.0

Finals = dict[str, FinalRecord]


@dataclass
class Place:
    """One study that the script is searched in, and the drivers that were started on it."""

    studies: str
    data: Path
    cache: Path
    environment: dict[str, str] = field(default_factory=dict)
    drivers: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def storage(self) -> Storage:
        return open_storage(f"{self.studies}/tiny", settle_s=0.5)

    def start(self) -> subprocess.Popen[str]:
        asked = ["search", str(SCRIPT), "timm:test_resnet.r160_in1k", "--weights", "none", "--repeats", "6"]
        asked += ["--epochs", "5", "--data", str(self.data), "--studies", self.studies, "--cache", str(self.cache)]
        paths = os.pathsep.join([*filter(None, [self.environment.get("PYTHONPATH")]), str(ROOT)])
        driver = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *asked],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            cwd=ROOT,
            env={**os.environ, **self.environment, "PYTHONPATH": paths},
        )
        self.drivers.append(driver)
        return driver

    def decided(self) -> Decided:
        return Decided.of(self.storage)

    def decisions(self) -> list[Decision]:
        return list(self.decided().every())

    def finals(self) -> Finals:
        storage = self.storage
        return {key.path: FinalRecord.from_bytes(storage.read(key.path), key.path) for key in list_finals(storage)}

    def begun(self) -> int:
        """Segments that somebody has taken."""
        return len(self.storage.list(SEGMENTS))


def ended(driver: subprocess.Popen[str]) -> str:
    """What it said; it must have ended well."""
    said, _ = driver.communicate(timeout=PATIENCE_S)
    assert driver.returncode == 0, said
    return said


def kill(driver: subprocess.Popen[str]) -> None:
    """With all its processes, at once."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(driver.pid, signal.SIGKILL)
    driver.communicate(timeout=PATIENCE_S)


def as_told(decision: Decision) -> dict[str, object]:
    """All of a decision but when and by whom it was made, and the bytes of records, which say when they were made."""
    news = [one.model_dump(exclude={"digests"}) for one in decision.news]
    return {**decision.model_dump(exclude={"news", "created", "who", "versions"}), "news": news}


def assert_equal(place: Place, expected: Place) -> None:
    mine, theirs = place.decisions(), expected.decisions()
    assert [as_told(one) for one in mine] == [as_told(one) for one in theirs]
    found, wanted = place.finals(), expected.finals()
    assert sorted(found) == sorted(wanted)
    for path, final in wanted.items():
        assert_same_result(found[path], final)
    assert [one.faults for one in check(place.storage, place.decided())] == [()] * DECISIONS


@pytest.fixture(scope="module", autouse=True)
def _registered() -> Iterator[None]:
    register()
    yield
    del PROPOSERS.variants[SCRIPTED.name]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_study(tmp_path_factory.mktemp("images")).data


@pytest.fixture(scope="module")
def unbroken(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Place:
    root = tmp_path_factory.mktemp("unbroken")
    place = Place(str(root / "s"), data, root / "c")
    ended(place.start())
    return place


@pytest.fixture
def place(data: Path, tmp_path: Path) -> Iterator[Place]:
    made = Place(str(tmp_path / "s"), data, tmp_path / "c")
    yield made
    for driver in made.drivers:
        kill(driver)


def test_each_step_is_decided_once_the_one_before_is_told(unbroken: Place) -> None:
    decisions = unbroken.decisions()
    assert [decision.number for decision in decisions] == [1, 2, 3, 4]
    assert [sum(len(one.repeats) for one in decision.news) for decision in decisions] == [0, 8, 2, 1]
    assert [segment.start for segment in decisions[2].segments()] == [3]
    assert max(len(segment.lanes) for segment in decisions[0].segments()) == 4
    assert [one.faults for one in check(unbroken.storage, unbroken.decided())] == [()] * DECISIONS
    longer = [final for path, final in unbroken.finals().items() if path.endswith("/2.e5")]
    assert [final.history.epochs for final in longer] == [5]
    assert len(unbroken.finals()) == FINALS


STEPS: dict[str, Callable[[Place], bool]] = {
    "a decision before anything is trained": lambda place: len(place.decisions()) == 1,
    "while the first lanes are trained": lambda place: place.begun() >= 1,
    "among final records": lambda place: len(place.finals()) >= 1,
    "the second decision": lambda place: len(place.decisions()) == 2,
    "at the new depth": lambda place: len(place.finals()) >= 9,
    "the third decision": lambda place: len(place.decisions()) == 3,
    "more epochs": lambda place: len(place.finals()) >= 11,
    "the last decision": lambda place: len(place.decisions()) == 4,
}
"""When the driver is killed with all its processes; the same command goes on."""


@pytest.mark.slow
def test_killed_at_every_step_it_ends_in_the_same_bits(place: Place, unbroken: Place) -> None:
    killed = 0
    for has_come in STEPS.values():
        driver = place.start()
        wait_until(partial(_has_come_or_ended, place, has_come, [driver]))
        killed += driver.poll() is None
        kill(driver)
    assert killed >= 4, "too few of the drivers were at work when they were killed"
    ended(place.start())
    assert "nothing is left to do" in " ".join(ended(place.start()).split())
    assert_equal(place, unbroken)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["folder", "drive", "bucket"])
def test_three_drivers_end_in_the_same_bits(
    kind: str, place: Place, unbroken: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two of them are killed on the way; the third takes over what they decided and trained."""
    with contextlib.ExitStack() as servers:
        if kind == "drive":
            place.environment["PYTHONPATH"] = str(DRIVE)
        if kind == "bucket":
            endpoint = servers.enter_context(object_server())
            monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
            place.studies = f"s3://{new_bucket(endpoint)}/studies"
        drivers = [place.start() for _ in range(3)]
        for driver, decisions in zip(drivers[:2], (1, 2), strict=True):
            wait_until(partial(_has_come_or_ended, place, partial(_has_decided, decisions), drivers))
            kill(driver)
        ended(drivers[2])
        assert_equal(place, unbroken)


def _has_decided(count: int, place: Place) -> bool:
    return len(place.decisions()) >= count


def _has_come_or_ended(place: Place, has_come: Callable[[Place], bool], drivers: list[subprocess.Popen[str]]) -> bool:
    return has_come(place) or all(driver.poll() is not None for driver in drivers)
