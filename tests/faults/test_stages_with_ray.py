"""The whole command with Ray over two stages: killed for good within the second, then two drivers finish it at once."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from orchestrator.results.decided import Decided
from tests.faults.noting import PAUSE
from tests.faults.searches import NAME, ORCH, PATIENCE_S, Place, Running, Searches
from tests.faults.tally import Results, compare
from tests.support.tiny_study import BACKBONE, make_tiny_study
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(3600)]

STAGES = f"""
name = "{NAME}"

[[stages]]
name = "linear probe"
strategy = "straightforward"
lr = [0.01, 0.02]
batch_size = 4
epochs = 2
repeats = 2

[[stages]]
name = "last layer"
strategy = "unfreezing"
unfrozen = 1
lr = 0.005
batch_size = 4
epochs = 4
"""


@dataclass(frozen=True)
class Staged(Place):
    def search(self) -> list[str]:
        file = self.folder / f"{NAME}.toml"
        file.write_text(STAGES)
        where = ["--data", str(self.data), "--studies", str(self.studies), "--cache", str(self.cache)]
        return [*ORCH, "search", str(file), BACKBONE, "--weights", "none", *where]


@pytest.fixture
def found() -> Iterator[Searches]:
    with tempfile.TemporaryDirectory(prefix="of-", dir="/tmp") as folder:
        made = make_tiny_study(Path(folder) / "images")
        searches = Searches(Path(folder), made.data, Path(folder) / "cache")
        yield searches
        for running in searches.alive:
            running.end_all()


def place_of(found: Searches, name: str, pause: float) -> Staged:
    place = Staged(found.folder / name, found.data, found.cache, pause)
    place.temporary.mkdir(parents=True)
    return place


def wait_for_the_second_stage(running: Running) -> None:
    """Until it trains."""

    def trains() -> bool:
        assert running.process.poll() is None, running.said()
        decided = Decided.of(running.place.storage)
        several = [one for name in list(decided.searches)[1:] for one in decided.segments([name])]
        return any(running.place.storage.list(one.attempt(1)) for one in several)

    wait_until(trains)


def test_two_drivers_finish_what_was_killed_in_the_second_stage(found: Searches) -> None:
    whole = place_of(found, "a", pause=0.0)
    unbroken = found.start(whole)
    assert unbroken.wait(PATIENCE_S) == 0, unbroken.said()
    expected = Results.of(whole.storage)
    assert len(expected.finals) == 6

    broken = place_of(found, "b", pause=0.4)
    running = found.start(broken)
    wait_for_the_second_stage(running)
    os.killpg(running.process.pid, signal.SIGKILL)
    assert running.wait(PATIENCE_S) == -signal.SIGKILL
    running.end_all()
    assert not compare(broken.storage, expected).is_equal

    (broken.log / PAUSE).write_text("0.0")
    second = broken.folder / "u"
    second.mkdir()
    drivers = [
        found.start(broken),
        found.start(broken, environment={**broken.environment(), "RAY_TMPDIR": str(second)}),
    ]
    for driver in drivers:
        assert driver.wait(PATIENCE_S) == 0, driver.said()
    assert compare(broken.storage, expected).is_equal
